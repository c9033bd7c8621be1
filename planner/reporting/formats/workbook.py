"""A thin hand on XlsxWriter: typed cells only, so that no text can become a formula."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from planner.reporting.document import Quantity, letter

_FORMATS = {
    Quantity.USD: "$#,##0.00;[Red]-$#,##0.00",
    Quantity.USD_PER_HOUR: "$#,##0.0000",
    Quantity.COUNT: "#,##0",
    Quantity.NUMBER: "#,##0.0000",
    Quantity.SHARE: "0.0 %",
}
_LONGEST_TEXT = 32_767
_HEAD_HEIGHT = 30
_INPUT_COLOUR = "#FFF6D6"


class Workbook:
    """A workbook under construction and its shared cell formats; those of xlsxwriter have no types."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._formats: dict[tuple[object, ...], Any] = {}

    def sheet(self, name: str) -> Sheet:
        """Add an empty sheet."""
        page = self._book.add_worksheet(name)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        return Sheet(self, page, name)

    def format(self, **properties: Any) -> Any:
        """A cell format, made once."""
        # properties and format are those of xlsxwriter, which publishes no types
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def made_at(self, moment: str) -> None:
        """Date the file by the plan, so that the same plan gives the same bytes."""
        self._book.set_properties({"created": datetime.fromisoformat(moment)})

    def define(self, name: str, place: str) -> None:
        """Name a cell for the whole workbook."""
        self._book.define_name(name, place)

    def close(self) -> None:
        """Finish writing."""
        self._book.close()


class Sheet:
    """One sheet. Rows and columns count from 0; formulas use the spreadsheet's own names."""

    def __init__(self, book: Workbook, page: Any, name: str) -> None:
        self._book = book
        self._page = page
        self._name = name
        self.next_row = 0

    @property
    def name(self) -> str:
        """What formulas call the sheet."""
        return self._name

    def title(self, text: str) -> None:
        """The sheet's first line."""
        shape = self._book.format(bold=True, font_size=13)
        self._page.write_string(0, 0, text[:_LONGEST_TEXT], shape)

    def live_title(self, formula: str, text: str) -> None:
        """The first line as a formula of ours, with what it says now."""
        shape = self._book.format(bold=True, font_size=13)
        self._page.write_formula(0, 0, formula, shape, text)

    def heads(self, row: int, texts: Sequence[str], numbers: Collection[int] = ()) -> None:
        """A row of column heads; those over ``numbers`` stand to the right like them."""
        self._page.set_row(row, _HEAD_HEIGHT)
        for column, text in enumerate(texts):
            side = {"align": "right"} if column in numbers else _indent(column)
            shape = self._book.format(bold=True, bottom=1, text_wrap=True, valign="bottom", **side)
            self._page.write_string(row, column, text, shape)

    def text(self, row: int, column: int, text: str, *, strong: bool = False) -> None:
        """Text, whatever it begins with; cut where a cell can hold no more."""
        shape = self._book.format(bold=strong, **_indent(column))
        self._page.write_string(row, column, text[:_LONGEST_TEXT], shape)

    def number(
        self,
        row: int,
        column: int,
        value: float,
        quantity: Quantity,
        *,
        is_input: bool = False,
        name: str | None = None,
    ) -> None:
        """An exact value; inputs are coloured."""
        self._page.write_number(row, column, value, self._shape(quantity, is_input))
        self._named(name, row, column)

    def formula(
        self,
        row: int,
        column: int,
        formula: str,
        value: float | str,
        quantity: Quantity,
        *,
        name: str | None = None,
    ) -> None:
        """A formula of ours, with the value it has now."""
        self._page.write_formula(row, column, formula, self._shape(quantity, False), value)
        self._named(name, row, column)

    def widths(self, *characters: int) -> None:
        """Column widths from the first column on."""
        for column, width in enumerate(characters):
            self._page.set_column(column, column, width)

    def freeze(self, rows: int, columns: int) -> None:
        """Keep the first rows and columns in sight."""
        self._page.freeze_panes(rows, columns)

    def below(self, row: int) -> None:
        """Remember where the next block begins."""
        self.next_row = row

    def _shape(self, quantity: Quantity, is_input: bool) -> Any:
        shape: dict[str, object] = {"num_format": _FORMATS[quantity]}
        if is_input:
            shape["bg_color"] = _INPUT_COLOUR
        return self._book.format(**shape)

    def _named(self, name: str | None, row: int, column: int) -> None:
        if name is not None:
            self._book.define(name, f"='{self._name}'!${letter(column)}${row + 1}")


def _indent(column: int) -> dict[str, object]:
    """Text keeps a distance from the number to its left."""
    return {"align": "left", "indent": 1} if column else {}
