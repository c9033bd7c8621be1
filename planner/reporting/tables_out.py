"""One table to a file of its own, in the format its name asks for."""

from __future__ import annotations

from pathlib import Path

from planner.errors import OutputError
from planner.reporting.document import Table
from planner.reporting.files import write_file
from planner.reporting.formats import csv_table
from planner.reporting.formats.parquet import write_parquet


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
