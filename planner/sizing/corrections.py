"""What is wrong about published figures a calculator reproduces (``catalogs/memory/corrections.csv``)."""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.catalog.tables import IsoDate, TableRow, read_table


class CorrectionRow(TableRow):
    """A note to print with a calculator's answer about ``subject``; see ``docs/reference/errata.md``."""

    calculator: str
    subject: str
    note: str
    source: str
    as_of: IsoDate


def corrections(catalog: Catalog, calculator: str, subject: str) -> tuple[str, ...]:
    """Return the notes on one subject of a calculator; raises CatalogError when the table is wrong."""
    rows = read_table(catalog.root / "memory" / "corrections.csv", CorrectionRow)
    wanted = (calculator, subject)
    return tuple(row.note for row in rows if (row.calculator, row.subject) == wanted)
