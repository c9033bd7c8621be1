"""The GPUs that quick calculators and textbooks count in (``catalogs/memory/cards.csv``)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import IsoDate, TableRow, read_table
from planner.errors import CatalogError

FILE = "memory/cards.csv"


@dataclass(frozen=True, slots=True)
class ReferenceGpu:
    """A GPU and its marketed memory [GB]; ``quick_list``: whether the quick calculator offers it.

    ``gpu``: its name in the catalog, "" where it has none; ``textbook_rank``: its place among the
    GPUs that a derivation counts in, None for the others.
    """

    name: str
    memory_gb: float
    quick_list: bool
    note: str
    gpu: str = ""
    textbook_rank: int | None = None

    @property
    def label(self) -> str:
        """How lists name it."""
        return f"{self.name} ({self.memory_gb:g} GB)"


class ReferenceGpuRow(TableRow):
    """One line of ``catalogs/memory/cards.csv``."""

    card: str
    memory_gb: float = Field(gt=0)
    quick_list: bool
    note: str = ""
    gpu: str = ""
    textbook_rank: int | None = Field(default=None, ge=1)
    source: str
    as_of: IsoDate


def reference_gpus(catalog: Catalog) -> tuple[ReferenceGpu, ...]:
    """Return every GPU of the list, in its order; raises CatalogError when the table is wrong."""
    rows = read_table(catalog.root / FILE, ReferenceGpuRow)
    return tuple(
        ReferenceGpu(row.card, row.memory_gb, row.quick_list, row.note, row.gpu, row.textbook_rank)
        for row in rows
    )


def textbook_gpus(catalog: Catalog) -> tuple[ReferenceGpu, ...]:
    """Return the GPUs a derivation counts in, by rank; raises CatalogError where none is ranked."""
    ranked = [c for c in reference_gpus(catalog) if c.textbook_rank is not None]
    if not ranked:
        raise CatalogError("no GPU has a textbook_rank", where=str(catalog.root / FILE))
    return tuple(sorted(ranked, key=lambda c: c.textbook_rank or 0))


def gpus_that_hold(catalog: Catalog, needed_gb: float) -> tuple[str, ...]:
    """Return the quick list's GPUs with at least ``needed_gb`` [GB] of marketed memory."""
    return tuple(
        gpu.label
        for gpu in reference_gpus(catalog)
        if gpu.quick_list and gpu.memory_gb >= needed_gb
    )
