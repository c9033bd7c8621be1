"""One table on its own: on the terminal, or as JSON, CSV or Markdown text."""

from __future__ import annotations

import io
import json
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from planner.reporting import csv_table, markdown
from planner.reporting.document import Quantity, Table, written

PAGE_WIDTH = 160


def print_listing(table: Table, console: Console | None = None) -> None:
    """Print the table on ``console`` (standard output by default)."""
    drawn = RichTable(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in table.columns:
        right = column.quantity is not Quantity.TEXT
        drawn.add_column(
            column.title,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right or column.key == "name",
        )
    for cells in table.cells():
        drawn.add_row(*(Text(written(cell.value, cell.quantity)) for cell in cells))
    if console is None:
        console = Console() if sys.stdout.isatty() else Console(width=PAGE_WIDTH)
    console.print(Text(table.title, style="bold cyan"))
    console.print(drawn)
    if table.note:
        console.print(Text(table.note, style="dim"))


def write_listing(table: Table, style: str) -> str:
    """The table as text in ``style``: "table", "json", "csv" or "md"; JSON and CSV carry exact values."""
    if style == "csv":
        return csv_table.render(table)
    if style == "md":
        return markdown.table(table) + "\n"
    if style == "json":
        keys = [column.key for column in table.columns]
        rows = ([cell.value for cell in cells] for cells in table.cells())
        return as_json([dict(zip(keys, row, strict=True)) for row in rows])
    page = io.StringIO()
    print_listing(table, Console(file=page, width=PAGE_WIDTH))
    return page.getvalue()


def as_json(content: object) -> str:
    """Indented JSON text with a final newline."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
