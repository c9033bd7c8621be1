"""One table on its own: on the terminal, as text in a format, or in a data file of its own."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from planner.errors import OutputError
from planner.reporting.document import Table
from planner.reporting.files import as_json, send, write_file
from planner.reporting.formats import csv_table, markdown, rich_document
from planner.reporting.formats.parquet import write_parquet
from planner.reporting.formats.rich_table import FittedTable
from planner.reporting.output import Output


def write_listing(table: Table, output: Output) -> None:
    """Write the table as text, JSON, CSV or Markdown.

    JSON and CSV carry exact values. Raises OutputError when the file cannot be written.
    """
    if output.on_screen:
        _print(table, rich_document.console(piped=rich_document.WIDE))
    else:
        send(_text(table, output.format), output.file)


def table_format(path: str | Path) -> str:
    """ ".csv" or ".parquet", by the file's name. Raises OutputError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise OutputError(
            "unknown table format", found=suffix or str(path), allowed=".csv, .parquet"
        )
    return suffix


def write_table(table: Table, path: str | Path) -> None:
    """Write ``table`` as .csv or .parquet, whole or not at all. Raises OutputError otherwise."""
    if table_format(path) == ".parquet":
        write_parquet(path, table)
    else:
        write_file(path, csv_table.render(table))


def _text(table: Table, style: str) -> str:
    if style == "csv":
        return csv_table.render(table)
    if style == "md":
        return markdown.table(table) + "\n"
    if style == "json":
        return as_json(table.records())
    page = io.StringIO()
    _print(table, Console(file=page, width=rich_document.WIDE))
    return page.getvalue()


def _print(table: Table, console: Console) -> None:
    console.print(Text(table.title, style="bold cyan"))
    console.print(FittedTable(table))
    if table.note:
        console.print(Text(table.note, style="dim"))
