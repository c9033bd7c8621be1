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


def test_a_table_of_one_row_is_turned_on_its_side_before_it_is_cut():
    page = io.StringIO()
    Console(file=page, width=60).print(FittedTable(Table("t", "t", COLUMNS, ROWS[:1])))
    lines = page.getvalue().splitlines()
    assert sum("accelerator-0" in line for line in lines) == 1
    assert ["figure", "0", "1,000,000"] in [line.split() for line in lines]


def test_low_and_high_ends_are_one_range_for_people():
    columns = (
        Column("what", "what"),
        Column("low_s", "range", Quantity.SECONDS, low_end=True),
        Column("high_s", "to", Quantity.SECONDS),
    )
    rows = (("a", 0.0394, 0.054), ("b", 0.5, 1.5), ("c", None, None))
    shown = Table("t", "t", columns, rows).shown()
    assert [c.title for c in shown.columns] == ["what", "range"]
    assert [row[1].text() for row in shown.rows] == ["39.4 to 54 ms", "500 ms to 1.5 s", "-"]
