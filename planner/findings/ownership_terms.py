"""What owning servers is counted with: the scenario's own figures, else the catalog's, with their ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.money_rows import ServerRow
from planner.catalog.store import Catalog
from planner.scenario.money import Ranged
from planner.scenario.schema import Scenario

# Key of the scenario's ``ownership`` -> item of ``catalogs/prices/ownership.csv``.
ITEMS: Mapping[str, str] = {
    "life": "life_years",
    "residual": "residual_share",
    "resale": "resale_share_36_months",
    "pue": "pue",
    "tariff": "tariff_usd_per_kwh",
    "colocation": "colocation_usd_per_kw_month",
    "network": "network_share_per_year",
    "maintenance": "maintenance_share_per_year",
    "staff": "staff_usd_per_server_year",
    "lead_time": "lead_time_months",
    "discount_rate": "capital_rate_per_year",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A figure, and between what it may turn out."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, stated: Ranged) -> Span:
        """What a scenario states."""
        return cls(stated.mid, stated.lowest, stated.highest)


@dataclass(frozen=True, slots=True)
class OwnershipTerms:
    """Every figure by its key in the scenario; ``utilization`` None where it follows from the load."""

    spans: Mapping[str, Span]
    utilization: float | None = None
    server: str | None = None
    server_price: Span | None = None

    def value(self, key: str) -> float:
        """The figure that is counted with."""
        return self.spans[key].value

    def price(self, row: ServerRow) -> Span:
        """The price of a server [USD]: the scenario's where it states one, else the catalog's."""
        if self.server_price is not None and row.name == self.server:
            return self.server_price
        return Span(row.price_usd, row.price_low_usd, row.price_high_usd)

    def admits(self, row: ServerRow) -> bool:
        """Whether the server may be bought."""
        return self.server in (None, row.name)


def terms_of(scenario: Scenario, catalog: Catalog) -> OwnershipTerms:
    """The terms that the scenario's servers are owned on."""
    rows = {row.item: Span(row.value, row.low, row.high) for row in catalog.ownership()}
    own = scenario.ownership
    stated: dict[str, Ranged | None] = dict.fromkeys(ITEMS)
    if own is not None:
        stated |= {key: getattr(own, key) for key in ITEMS}
    spans = {
        key: rows[item] if (figure := stated[key]) is None else Span.of(figure)
        for key, item in ITEMS.items()
    }
    if own is None:
        return OwnershipTerms(spans)
    price = None if own.server_price is None else Span.of(own.server_price)
    return OwnershipTerms(spans, own.utilization, own.server, price)
