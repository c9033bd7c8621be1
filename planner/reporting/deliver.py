"""Where documents go: the requested format, to a file or to stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from planner.errors import InputError, OutputError
from planner.reporting.document import Document
from planner.reporting.files import as_json, check_target, send, write_file
from planner.reporting.formats import csv_table, html, markdown, rich_document
from planner.reporting.optional_packages import need
from planner.reporting.output import Output

ALL_TABLES = "all"
_PACKAGES = {"html": ("jinja2", "matplotlib"), "xlsx": ("xlsxwriter",)}


def prepare(output: Output, *more_files: str | None) -> None:
    """Before long work: raise OutputError for what could not be written or drawn at its end."""
    for file in (output.file, *more_files):
        if file is not None:
            check_target(file)
    for package in _PACKAGES.get(output.format, ()):
        need(package, f"the {output.format} format")


def write_document(
    document: Document,
    output: Output,
    *,
    data: Callable[[], Mapping[str, object]] | None = None,
) -> None:
    """Write a document; ``data``: what JSON carries.

    Raises OutputError when the file cannot be written or the document has no such format.
    """
    if output.format == "json" and data is not None:
        send(as_json(data()), output.file)
    elif output.format == "html":
        send(html.render(document), output.file)
    elif output.format == "md":
        send(markdown.render(document), output.file)
    elif output.format == "csv":
        _write_csv(document, output)
    elif output.on_screen:
        rich_document.show(document)
    elif output.format == "table":
        send(rich_document.text(document), output.file)
    else:
        raise OutputError("this result has no such format", found=output.format)


def _write_csv(document: Document, output: Output) -> None:
    """One table; or each in a file of its own, named after it, beside the file asked for."""
    if output.table != ALL_TABLES:
        table = output.table or next(iter(document.tables()), "")
        send(csv_table.render(csv_table.pick(document, table)), output.file)
        return
    if output.file is None:
        raise InputError(
            "several tables cannot be one CSV",
            where=f"--table {ALL_TABLES}",
            action="add -o NAME.csv: each table is written as NAME.TABLE.csv",
        )
    path = Path(output.file)
    for key, each in document.tables().items():
        write_file(path.with_suffix(f".{key}{path.suffix or '.csv'}"), csv_table.render(each))
