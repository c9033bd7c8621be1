"""A table as Parquet, through the optional package pyarrow."""

from __future__ import annotations

import io
from pathlib import Path

from planner.reporting.document import Table
from planner.reporting.files import write_file
from planner.reporting.optional_packages import need


def write_parquet(path: str | Path, table: Table) -> None:
    """Write ``table`` whole or not at all. Raises OutputError when pyarrow is missing."""
    pyarrow = need("pyarrow", "Parquet", extra="parquet")
    parquet = need("pyarrow.parquet", "Parquet", extra="parquet")
    columns = {
        column.key: [cells[i].value for cells in table.cells()]
        for i, column in enumerate(table.columns)
    }
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    write_file(path, buffer.getvalue())
