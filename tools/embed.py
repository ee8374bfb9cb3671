#!/usr/bin/env python3
"""Turn text files into one C file of string constants, so that a program needs no data files. Lines that
begin with # are left out.

usage: embed.py OUTPUT.c HEADER NAME=FILE...
"""

import sys


def literal(line):
    """One line of text as a C string literal."""
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'\t"{escaped}\\n"'


def main():
    output, header, *pairs = sys.argv[1:]
    parts = ["/* Written by tools/embed.py; do not edit. */", f'#include "{header}"', ""]
    for pair in pairs:
        name, path = pair.split("=", 1)
        with open(path, encoding="ascii") as f:
            lines = [line for line in f.read().splitlines() if not line.startswith("#")]
        parts += [f"const char {name}[] =", *map(literal, lines), "\t;", ""]
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(parts))


if __name__ == "__main__":
    main()
