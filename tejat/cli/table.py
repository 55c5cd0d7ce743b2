"""A table of words for people: aligned in a terminal, plain lines elsewhere."""

import sys
from collections.abc import Sequence

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
