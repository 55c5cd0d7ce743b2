"""Tables for people: aligned in a terminal, plain lines elsewhere; Markdown that can be read as it stands."""

import sys
from collections.abc import Sequence
from itertools import groupby

Row = Sequence[str]


def show(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = (), fewer: Sequence[str] = ()
) -> None:
    """Prints a table.

    Args:
      head: the names of the columns; the first one names the rows.
      rows: as many cells each.
      left: columns of words, set at the left; the first one is. In plain lines they go without the column's name.
      fewer: columns that may be left out where a terminal is too narrow, the first one first. Words are never cut, for
        half a name is none.
    """
    if sys.stdout.isatty():
        aligned(head, rows, left, fewer)
        return
    for name, *cells in rows:
        told = [(what, cell) for what, cell in zip(head[1:], cells, strict=True) if cell]
        print(f"{name}: " + ", ".join(cell if what in left else f"{what} {cell}" for what, cell in told))


def aligned(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = (), fewer: Sequence[str] = ()
) -> None:
    """Prints a table as `show` does in a terminal. Columns in which no row has anything are left out."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    console = Console()
    columns = {name: [name, *cells] for name, *cells in zip(head, *rows, strict=True) if any(cells)}
    for name in fewer:
        if sum(2 + max(map(cell_len, cells)) for cells in columns.values()) - 2 <= console.width:
            break
        columns.pop(name, None)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in (head[0], *left) else "right", no_wrap=True)
    for row in zip(*(cells[1:] for cells in columns.values()), strict=True):
        table.add_row(*row)
    wide = sum(2 + max(map(cell_len, cells)) for cells in columns.values())
    Console(width=max(console.width, wide)).print(table, soft_wrap=True)


def straight(markdown: str) -> str:
    """The text with the cells of its tables padded: it is still Markdown, and its columns stand below one another.

    Columns of numbers are set at the right.
    """
    made: list[str] = []
    for is_table, lines in groupby(markdown.split("\n"), lambda line: line.startswith("|")):
        listed = list(lines)
        made += _padded(listed) if is_table else listed
    return "\n".join(made)


def short(number: float, unit: str = "") -> str:
    """Three digits and a decimal prefix: 42.2M and 1.81B of plain numbers, 3.62 GB of a unit."""
    scales = ((1e12, "T"), (1e9, "G" if unit else "B"), (1e6, "M"), (1e3, "k"), (1, ""))
    size, prefix = next((scale for scale in scales if number >= scale[0]), scales[-1])
    digits = f"{number / size:#.3g}".rstrip(".")
    return f"{digits} {prefix}{unit}" if unit else f"{digits}{prefix}"


def _padded(lines: list[str]) -> list[str]:
    head, rule, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    columns = list(zip(head, *body, strict=True))
    widths = [max(3, *map(len, cells)) for cells in columns]
    right = [mark.endswith(":") or all(map(_is_number, cells[1:])) for mark, cells in zip(rule, columns, strict=True)]
    sides = list(zip(widths, right, strict=True))

    def line(cells: Sequence[str]) -> str:
        set_ = (cell.rjust(n) if at_right else cell.ljust(n) for cell, (n, at_right) in zip(cells, sides, strict=True))
        return f"| {' | '.join(set_)} |"

    rules = ("-" * (n + 1) + ":" if at_right else "-" * (n + 2) for n, at_right in sides)
    return [line(head), f"|{'|'.join(rules)}|", *map(line, body)]


def _is_number(cell: str) -> bool:
    return not cell or cell.lstrip("+-−$±")[:1].isdigit()
