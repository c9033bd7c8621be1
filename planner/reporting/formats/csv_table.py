"""A table as CSV (RFC 4180): exact values, unknown and blank left empty, text that is never executed."""

from __future__ import annotations

import csv
import io

from planner.errors import InputError, nearest
from planner.reporting.document import Document, Table, Value
from planner.units import printable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def render(source: Table) -> str:
    """The table with one header line of column keys."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([c.key for c in source.columns])
    for cells in source.cells():
        writer.writerow([_entry(c.value) for c in cells])
    return text.getvalue()


def pick(document: Document, key: str) -> Table:
    """The document's table of that key; InputError names those it has."""
    tables = document.tables()
    if key not in tables:
        raise InputError(
            "the report has no such table",
            where="--table",
            found=key,
            allowed=", ".join(tables),
            action=nearest(key, tables),
        )
    return tables[key]


def _entry(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = printable(value) if value.strip() else ""
        return f"'{text}" if value.startswith(_FORMULA_STARTS) else text
    return repr(value)
