"""A document as one HTML file: no script, no network, everything escaped, light and dark."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from planner.reporting.charts.canvas import DARK, LIGHT
from planner.reporting.document import Block, Cell, Column, Document, Quantity, Table
from planner.reporting.optional_packages import need
from planner.units import printable

if TYPE_CHECKING:
    from jinja2 import Template


_SHORT, _LONG = 16, 40
_CARD_ROWS = 8
_DENSE = 9  # columns


def render(document: Document) -> str:
    """The document as a complete page. Raises OutputError when the report extra is missing."""
    page = _template().render(
        document=document,
        light=LIGHT,
        dark=DARK,
        css=_resource("page.css"),
    )
    return printable(page)


def _resource(name: str) -> str:
    return (files("planner.reporting") / "templates" / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    jinja2: Any = need("jinja2", "the HTML report")
    markup: Any = need("markupsafe", "the HTML report").Markup
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["written"] = Cell.text
    environment.filters["ends"] = Cell.ends
    environment.filters["kind"] = _kind
    environment.filters["drawn"] = lambda figure: markup(figure.draw())
    environment.filters["link"] = _is_link
    environment.filters["width"] = _width
    environment.filters["classes"] = _classes
    template: Template = environment.from_string(_resource("document.html.j2"))
    return template


def _width(cell: Cell, column: Column) -> str:
    """How a cell stands and wraps: aligned like its column; numbers and short words keep a line."""
    length = len(cell.text())
    if column.quantity is not Quantity.TEXT:
        return "number" if length <= _SHORT else "number wraps"
    return "short" if length <= _SHORT else "long" if length > _LONG else "text"


def _classes(table: Table) -> str:
    """A card for each row on a phone where they are few; smaller type where columns are many."""
    columns = len(table.columns)
    cards = columns > 3 and len(table.rows) <= _CARD_ROWS
    return " ".join((*(("cards",) if cards else ()), *(("dense",) if columns >= _DENSE else ())))


def _kind(block: Block) -> str:
    return type(block).__name__


def _is_link(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://")) and " " not in value
