"""One table on its own: on the terminal, or as JSON, CSV or Markdown text."""

from __future__ import annotations

import io
import json

from rich.console import Console
from rich.text import Text

from planner.reporting.document import Table
from planner.reporting.formats import csv_table, markdown, rich_document
from planner.reporting.formats.rich_table import FittedTable


def print_listing(table: Table, console: Console | None = None) -> None:
    """Print the table on ``console`` (standard output by default)."""
    console = console or rich_document.console(piped=rich_document.WIDE)
    console.print(Text(table.title, style="bold cyan"))
    console.print(FittedTable(table))
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
    print_listing(table, Console(file=page, width=rich_document.WIDE))
    return page.getvalue()


def as_json(content: object) -> str:
    """Indented JSON text with a final newline."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
