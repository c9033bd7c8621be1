"""Whatever a name holds, it comes out as the text it is."""

import csv
import io
from html.parser import HTMLParser

import openpyxl
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from planner.reporting.document import Column, Document, Paragraph, Quantity, Section, Table
from planner.reporting.formats import csv_table, html, markdown
from planner.reporting.formats.workbook import Workbook

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
TRICKY = st.sampled_from(
    ["=1+1", "+1", "-1", "@a", "<b>", "a|b", "*x*", "[a](b)", "`", "&lt;", "'"]
)


def a_document(text):
    table = Table("t", text, (Column("c", text), Column("n", "N", Quantity.USD)), ((text, 1.5),))
    return Document(text, text, (Section("s", text, (Paragraph(text), table)),))


class Cells(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.texts, self._inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "td":
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "td"

    def handle_data(self, data):
        if self._inside:
            self.texts[-1] += data


@given(TEXT | TRICKY)
def test_html_gives_back_the_text(text):
    assert Cells(html.render(a_document(text))).texts == [text, "$1.50"]


@given(TEXT | TRICKY)
@example(" ")
def test_csv_gives_back_the_text_but_no_formula(text):
    (table,) = a_document(text).tables().values()
    rows = list(csv.reader(io.StringIO(csv_table.render(table), newline="")))
    assert rows[1][0] in ((text, f"'{text}") if text.strip() else ("",))
    assert not rows[1][0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(TEXT | TRICKY)
def test_markdown_holds_no_markup_of_the_text(text):
    rendered = markdown.render(a_document(text))
    assert "<" not in rendered
    row = rendered.splitlines()[-1]
    assert row.replace("\\|", "").count("|") == 3


@settings(max_examples=30, deadline=None)
@given(TEXT | TRICKY)
def test_a_spreadsheet_cell_is_text(text):
    buffer = io.BytesIO()
    book = Workbook(xlsxwriter.Workbook(buffer, {"in_memory": True}))
    book.sheet("a").text(0, 0, text)
    book.close()
    cell = openpyxl.load_workbook(buffer)["a"]["A1"]
    assert cell.data_type == "s"
    assert cell.value == text


def test_a_cell_that_can_hold_no_more_is_cut():
    buffer = io.BytesIO()
    book = Workbook(xlsxwriter.Workbook(buffer, {"in_memory": True}))
    book.sheet("a").text(0, 0, "x" * 40_000)
    book.close()
    assert openpyxl.load_workbook(buffer)["a"]["A1"].value == "x" * 32_767
