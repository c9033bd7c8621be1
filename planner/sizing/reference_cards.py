"""The short list of cards that quick calculators recommend from (``catalogs/memory/cards.csv``)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import IsoDate, Row, read_rows


@dataclass(frozen=True, slots=True)
class Card:
    """A card and its marketed memory [GB]; ``quick_list``: whether the quick calculator offers it."""

    name: str
    memory_gb: float
    quick_list: bool
    note: str

    @property
    def label(self) -> str:
        """How lists name it."""
        return f"{self.name} ({self.memory_gb:g} GB)"


class CardRow(Row):
    """One line of ``catalogs/memory/cards.csv``."""

    card: str
    memory_gb: float = Field(gt=0)
    quick_list: bool
    note: str = ""
    source: str
    as_of: IsoDate


def reference_cards(catalog: Catalog) -> tuple[Card, ...]:
    """Return every card of the list, in its order; raises CatalogError when the table is wrong."""
    rows = read_rows(catalog.root / "memory" / "cards.csv", CardRow)
    return tuple(Card(row.card, row.memory_gb, row.quick_list, row.note) for _, row in rows)


def cards_that_hold(catalog: Catalog, needed_gb: float) -> tuple[str, ...]:
    """Return the quick list's cards with at least ``needed_gb`` [GB] of marketed memory."""
    return tuple(
        card.label
        for card in reference_cards(catalog)
        if card.quick_list and card.memory_gb >= needed_gb
    )
