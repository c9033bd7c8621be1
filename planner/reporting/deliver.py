"""Where documents go: the requested format, to a file or to stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from planner.errors import InputError, OutputError
from planner.reporting.document import Document
from planner.reporting.files import as_json, check_target, send, write_file
from planner.reporting.formats import csv_table, html, markdown, rich_document
from planner.reporting.optional_packages import need

ALL_TABLES = "all"
_PACKAGES = {"html": ("jinja2", "matplotlib"), "xlsx": ("xlsxwriter",)}


def prepare(style: str, *outputs: str | None) -> None:
    """Before long work: raise OutputError for what could not be written or drawn at its end."""
    for output in outputs:
        if output is not None:
            check_target(output)
    for package in _PACKAGES.get(style, ()):
        need(package, f"the {style} format")


def write_document(
    document: Document,
    style: str,
    output: str | None,
    *,
    table: str = "",
    data: Callable[[], Mapping[str, object]] | None = None,
) -> None:
    """Write a document; ``table`` is the one CSV carries (its first by default), ``data`` what JSON carries.

    Raises OutputError when the file cannot be written or the document has no such format.
    """
    if style == "json" and data is not None:
        send(as_json(data()), output)
    elif style == "html":
        send(html.render(document), output)
    elif style == "md":
        send(markdown.render(document), output)
    elif style == "csv":
        _write_csv(document, output, table or next(iter(document.tables()), ""))
    elif style == "table":
        if output is None:
            rich_document.show(document)
        else:
            write_file(output, rich_document.text(document))
    else:
        raise OutputError("this result has no such format", found=style)


def _write_csv(document: Document, output: str | None, table: str) -> None:
    """One table; or each in a file of its own, named after it, beside ``output``."""
    if table != ALL_TABLES:
        send(csv_table.render(csv_table.pick(document, table)), output)
        return
    if output is None:
        raise InputError(
            "several tables cannot be one CSV",
            where=f"--table {ALL_TABLES}",
            action="add -o NAME.csv: each table is written as NAME.TABLE.csv",
        )
    path = Path(output)
    for key, each in document.tables().items():
        write_file(path.with_suffix(f".{key}{path.suffix or '.csv'}"), csv_table.render(each))
