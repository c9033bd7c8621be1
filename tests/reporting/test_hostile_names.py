"""Names from a scenario stay text: no markup, no script, no formula, in any format."""

import csv
import io
from html.parser import HTMLParser

import openpyxl
import pytest

from planner.reporting.formats import csv_table, html, markdown, rich_document
from planner.reporting.plan import spreadsheet as xlsx
from planner.reporting.plan.plan_document import plan_document


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.attributes = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture
def page(hostile):
    return html.render(plan_document(hostile))


def test_html_has_no_element_or_handler_from_a_name(page):
    found = Elements(page)
    assert not {"script", "img", "iframe", "object", "link_"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(" in page


def test_html_links_only_to_the_web(page):
    links = [v for name, v in Elements(page).attributes if name in ("href", "src", "xlink:href")]
    assert links
    assert all(v.startswith(("#", "https://", "http://", "data:,")) for v in links)


def test_html_loads_nothing(page):
    found = Elements(page)
    assert "default-src 'none'" in page
    assert not [t for t in found.tags if t in ("script", "video", "audio", "embed", "base")]
    assert "url(http" not in page
    assert "@import" not in page


def test_svg_keeps_names_as_text(page):
    assert "$x^2$" in page


def test_markdown_keeps_names_as_text(hostile):
    text = markdown.render(plan_document(hostile))
    assert "<script" not in text
    assert "<img" not in text
    assert "![x](" not in text
    assert r"\| a \| b \|" in text


def test_csv_text_never_starts_a_formula(hostile):
    document = plan_document(hostile)
    for key in document.tables():
        text = csv_table.render(csv_table.pick(document, key))
        for row in csv.reader(io.StringIO(text, newline="")):
            for entry in row:
                if entry.startswith(("=", "+", "-", "@", "\t")):
                    assert float(entry) < 0  # a negative number, not a name


def test_spreadsheet_text_is_never_a_formula(hostile):
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(hostile)))
    texts, formulas = [], []
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                (formulas if cell.data_type == "f" else texts).append(str(cell.value))
                assert cell.hyperlink is None
    assert '=HYPERLINK("http://evil.example","click")' in texts
    assert "=1+1" in texts
    assert not [f for f in formulas if "HYPERLINK" in f or f == "=1+1"]


def test_the_terminal_shows_names_without_markup(hostile):
    assert '<script>alert("x")</script>' in rich_document.text(plan_document(hostile))
