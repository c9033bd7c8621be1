"""What a provider rents out: machines that join a cluster, or containers that cannot."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.tables import IsoDate, TableRow, read_table

HOSTING = Path("prices") / "hosting.csv"
Rents = Literal["machines", "containers", "unknown"]


class HostingRow(TableRow):
    """What a provider, or every provider of a tier, rents out where it is not whole machines."""

    provider: str = ""
    tier: str = ""
    rents: Rents
    source: str = Field(min_length=1)
    as_of: IsoDate


@lru_cache(maxsize=4)
def hosting_rows(root: Path) -> tuple[HostingRow, ...]:
    """Every row of the catalog in folder ``root``."""
    return read_table(root / HOSTING, HostingRow)


def rents(root: Path, provider: str, tier: str) -> Rents:
    """What ``provider`` rents out in that tier; machines where no row says otherwise."""
    rows = hosting_rows(root)
    own = [row for row in rows if row.provider == provider and row.tier in ("", tier)]
    of_tier = [row for row in rows if not row.provider and row.tier == tier]
    return next((row.rents for row in (*own, *of_tier)), "machines")
