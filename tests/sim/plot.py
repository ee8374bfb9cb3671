#!/usr/bin/python3
"""Draws what `sim --csv DIR` wrote: calls a second (the most in each minute) and errors a minute.

Usage: plot.py DIR OUT.svg
"""

import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 900, 180, 70, 34, 56


def series(path, group, pick):
    values = [int(line) for line in pathlib.Path(path).read_text().split()]
    return [pick(values[i:i + group]) for i in range(0, len(values) - group + 1, group)]


def panel(title, values, top, colour, unit):
    """One chart, its vertical axis logarithmic: fair weather and a storm on one scale."""
    most = max(max(values), 1)
    decades = math.ceil(math.log10(most + 1))

    def y(v):
        return top + HEIGHT - HEIGHT * math.log10(v + 1) / decades

    out = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{title}</text>',
           f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for d in range(decades + 1):
        value = 10 ** d - (d == 0)
        out.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,}</text>')
    step = WIDTH / len(values)
    points = " ".join(f"{LEFT + i * step:.1f},{y(v):.1f}" for i, v in enumerate(values))
    out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>')
    hours = len(values) / 60
    for h in range(0, int(hours) + 1, 4):
        x = LEFT + WIDTH * h / hours
        out.append(f'<text x="{x:.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">{h} h</text>')
    out.append(f'<text x="{LEFT + WIDTH}" y="{top - 10}" text-anchor="end" fill="#666">{unit}</text>')
    return out


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    directory = pathlib.Path(sys.argv[1])
    calls = series(directory / "calls.csv", 60, max)
    mean = series(directory / "calls.csv", 60, lambda v: sum(v) // len(v))
    errors = series(directory / "errors.csv", 1, lambda v: v[0])
    height = TOP + 3 * (HEIGHT + GAP)
    body = (panel("AssumeRole calls a second: most in each minute", calls, TOP, "#b5651d", "logarithmic")
            + panel("AssumeRole calls a second: mean of each minute", mean, TOP + HEIGHT + GAP, "#1f5fa8", "logarithmic")
            + panel("Workload requests in error, each minute", errors, TOP + 2 * (HEIGHT + GAP), "#a81f3b",
                    "logarithmic"))
    pathlib.Path(sys.argv[2]).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "\n".join(body) + "</svg>\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
