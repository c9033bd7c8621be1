"""The numbers that autoscalers work by, from ``catalogs/running/autoscalers.csv``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from planner.catalog.tables import IsoDate, TableRow, read_rows
from planner.errors import CatalogError

TABLE = Path("running") / "autoscalers.csv"


class AutoscalerRow(TableRow):
    """One parameter of an autoscaler, at its default."""

    policy: str
    parameter: str
    value: float
    unit: str
    source: str
    as_of: IsoDate


@lru_cache(maxsize=4)
def _rows(root: Path) -> dict[tuple[str, str], float]:
    rows = (row for _, row in read_rows(root / TABLE, AutoscalerRow))
    return {(row.policy, row.parameter): row.value for row in rows}


def parameter(root: Path, policy: str, name: str) -> float:
    """The default of a parameter; CatalogError where none is recorded."""
    value = _rows(root).get((policy, name))
    if value is None:
        raise CatalogError(
            "no such parameter is recorded", where=f"catalogs/{TABLE}", found=f"{policy}, {name}"
        )
    return value
