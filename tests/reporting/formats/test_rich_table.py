"""Tables in a narrow terminal: no column is squeezed to letters, and none is lost."""

import io

import pytest
from rich.console import Console

from planner.reporting.document import Column, Quantity, Table
from planner.reporting.formats.rich_table import FittedTable

COLUMNS = (
    Column("name", "name"),
    *(Column(f"c{i}", f"figure {i}", Quantity.COUNT) for i in range(8)),
    Column("note", "note"),
)
ROWS = tuple(
    (f"accelerator-{n}", *range(1_000_000, 1_000_008), "a remark of several words")
    for n in range(3)
)


def drawn(width):
    page = io.StringIO()
    Console(file=page, width=width).print(FittedTable(Table("t", "t", COLUMNS, ROWS)))
    return page.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 140, 200])
def test_every_number_keeps_its_line_within_the_page(width):
    text = drawn(width)
    assert all(len(line) <= width for line in text.splitlines())
    for value in range(1_000_000, 1_000_008):
        assert text.count(f"{value:,}") == len(ROWS)


def test_each_part_repeats_the_row_heads():
    assert drawn(200).count("accelerator-1") == 1
    assert drawn(60).count("accelerator-1") > 1


def test_an_empty_table_is_drawn():
    page = io.StringIO()
    Console(file=page, width=200).print(FittedTable(Table("t", "t", COLUMNS, ())))
    assert "figure 3" in page.getvalue()
