import io

import openpyxl
import pytest

from planner.reporting.document import letter
from planner.reporting.plan import spreadsheet as xlsx


@pytest.fixture
def book(findings):
    return openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)))


def test_a_sheet_for_each_question(book):
    assert book.sheetnames == [
        "Summary", "Options", "Cash flow", "Exposure", "Break-even", "Sensitivity", "Other ways",
        "Assumptions", "Sources",
    ]  # fmt: skip


def test_totals_are_formulas_over_names(book):
    names = set(book.defined_names)
    assert {
        "Cost_per_hour",
        "Cost_per_month",
        "Cost_per_year",
        "Cost_over_horizon",
        "Cost_per_million_output_tokens",
        "GPUs_rented",
        "Rate",
        "Output_tokens",
        "Hours_per_month",
        "Discount_rate",
    } <= names
    month = book["Summary"][book.defined_names["Cost_per_month"].attr_text.rpartition("!")[2]]
    assert month.value == "=Cost_per_hour*Hours_per_month"


def test_money_and_counts_have_number_formats(book):
    formats = {c.number_format for row in book["Summary"].iter_rows() for c in row}
    assert any("$" in f for f in formats)
    assert "#,##0" in formats


def test_inputs_are_coloured(book):
    row = [c for c in book["Summary"][6] if c.fill.fgColor.rgb == "FFFFF6D6"]
    assert [c.value for c in row] == [3, 20, 1, 730, 0, 0]


def test_the_same_plan_gives_the_same_bytes(findings):
    assert xlsx.render(findings) == xlsx.render(findings)


@pytest.mark.parametrize(("index", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ")])
def test_columns_have_letters(index, name):
    assert letter(index) == name
