"""Tables in Markdown and bar charts in SVG, for the terminal and for docs/benchmarks.md."""

import html
import pathlib

WIDTH, LEFT, BAR, GAP = 860, 250, 22, 8
COLOURS = {"rolegated": "#1f5fa8"}


class Report:
    def __init__(self):
        self.parts, self.charts = [], []

    def section(self, title):
        self._out(f"\n## {title}\n")

    def text(self, *lines):
        self._out("\n".join(lines) + "\n")

    def table(self, head, rows):
        cells = [[str(cell) for cell in row] for row in [head, *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        self._out("\n".join(lines) + "\n")

    def chart(self, title, values):
        """Bars of {name: number}, the longest as wide as there is room."""
        self.charts.append((title, values))

    def _out(self, text):
        print(text, flush=True)
        self.parts.append(text)

    def svg(self):
        y, out = 10, []
        for title, values in self.charts:
            out.append(f'<text x="10" y="{y + 16}" font-weight="bold">{html.escape(title)}</text>')
            y += 28
            most = max(values.values())
            for name, value in values.items():
                width = (WIDTH - LEFT - 110) * value / most
                out.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{html.escape(name)}</text>'
                           f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" '
                           f'fill="{COLOURS.get(name, "#b9b9b9")}"/>'
                           f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}">{value:,.0f}</text>')
                y += BAR + GAP
            y += 14
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" '
                'font-size="13"><rect width="100%" height="100%" fill="white"/>' + "\n".join(out) + "</svg>\n")

    def write(self, directory, heading):
        directory = pathlib.Path(directory)
        plot = "\n![Requests a second](benchmarks.svg)\n" if self.charts else ""
        (directory / "benchmarks.md").write_text(heading + plot + "\n".join(self.parts).rstrip() + "\n")
        if self.charts:
            (directory / "benchmarks.svg").write_text(self.svg())
