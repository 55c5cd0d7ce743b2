"""Tables for people: aligned and never cut in a terminal, plain lines elsewhere."""

import pytest

from tejat.cli import table

HEAD = ("task", "metric", "value", "error", "chance")
ROWS = [("a-very-long-name-of-a-task", "exact match", "0.563", "± 0.029", ""), ("b", "errors", "0.480", "± 0.039", "")]


def test_plain_lines(capsys) -> None:
    table.show(HEAD, ROWS, ("metric",))
    told = capsys.readouterr().out.splitlines()
    assert told[1] == "b: errors, value 0.480, error ± 0.039"


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (80, ["task", "metric", "value", "error"]),  # a column without anything is none
        (50, ["task", "metric", "value"]),
        (40, ["task", "value"]),
        (20, ["task", "value"]),  # what is left is not cut
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_whole_words(
    columns: int, head: list[str], capsys, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    table.aligned(HEAD, ROWS, ("metric",), ("error", "metric"))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.split() == head and [line.split()[0] for line in lines] == [name for name, *_ in ROWS]
    assert len(first) <= columns or columns == 20
    assert len({len(line.rstrip()) for line in lines}) == 1  # numbers are set at the right


def test_markdown_stands_straight_and_is_the_same() -> None:
    told = "so much:\n\n| name | n | what |\n|---|---|---|\n| a | 1.5 | b 2 |\n| long name | 12 | |\n\nand so on"
    assert table.straight(told).splitlines() == [
        "so much:",
        "",
        "| name      |   n | what |",
        "|-----------|----:|------|",
        "| a         | 1.5 | b 2  |",
        "| long name |  12 |      |",
        "",
        "and so on",
    ]
    assert table.straight(table.straight(told)) == table.straight(told)
