"""A table as Parquet, through the optional package pyarrow."""

from __future__ import annotations

import io
from pathlib import Path

from planner.errors import OutputError
from planner.reporting.document import Table
from planner.reporting.files import write_file


def write_parquet(path: str | Path, table: Table) -> None:
    """Write ``table`` whole or not at all. Raises OutputError when pyarrow is missing."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise OutputError(
            "Parquet needs the package 'pyarrow', which is not installed",
            action="pip install 'llm-fleet-planner[parquet]'",
        ) from None
    columns = {
        column.key: [cells[i].value for cells in table.cells()]
        for i, column in enumerate(table.columns)
    }
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    write_file(path, buffer.getvalue())
