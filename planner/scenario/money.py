"""The money part of the question: what owning servers costs here, and what comes on top of GPUs.

Every figure may be one number, or a range ``{low, mid, high}``: the middle is counted with, the ends are
what the report moves it to. What is left out comes from ``catalogs/prices/``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from planner.scenario.fields import NotNegative, Share, StrictDocument, omit_defaults


class Ranged(StrictDocument):
    """A figure with what it may turn out to be; a number alone has no range."""

    mid: NotNegative
    low: NotNegative | None = None
    high: NotNegative | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Ranged:
        if not self.lowest <= self.mid <= self.highest:
            raise ValueError("low, mid and high must not decrease")
        return self

    @property
    def lowest(self) -> float:
        """The low end; the figure itself where none is stated."""
        return self.mid if self.low is None else self.low

    @property
    def highest(self) -> float:
        """The high end; the figure itself where none is stated."""
        return self.mid if self.high is None else self.high


def _ranged(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"mid": float(value)}
    return value


Figure = Annotated[Ranged, BeforeValidator(_ranged)]


class Ownership(StrictDocument):
    """What servers of one's own cost here, instead of the catalog's defaults.

    ``server``: a name of ``servers.csv``, to which ``server_price`` [USD] belongs; left out, all are
    compared at their own prices. ``life`` [years]; ``residual``: share of the price at its end;
    ``resale``: share of it after 36 months; ``pue``; ``tariff`` [USD per kWh]; ``colocation`` [USD per kW
    and month]; ``network``, ``maintenance``: shares of the price a year; ``staff`` [USD per server and
    year]; ``lead_time`` [months]; ``utilization``: of the power range, left out it follows from the load;
    ``discount_rate`` [a year], of every way to pay.
    """

    server: str | None = None
    server_price: Figure | None = None
    life: Figure | None = None
    residual: Figure | None = None
    resale: Figure | None = None
    pue: Figure | None = None
    tariff: Figure | None = None
    colocation: Figure | None = None
    network: Figure | None = None
    maintenance: Figure | None = None
    staff: Figure | None = None
    lead_time: Figure | None = None
    utilization: Share | None = None
    discount_rate: Figure | None = None

    @model_validator(mode="after")
    def _figures_fit(self) -> Ownership:
        if self.server_price is not None and self.server is None:
            raise ValueError("server_price needs server: the name of what is bought")
        for name in ("residual", "resale", "network", "maintenance", "discount_rate"):
            figure: Ranged | None = getattr(self, name)
            if figure is not None and figure.highest > 1:
                raise ValueError(f"{name} is a share: at most 1")
        for name, least in (("life", 1 / 12), ("pue", 1.0), ("server_price", 1.0)):
            low: Ranged | None = getattr(self, name)
            if low is not None and low.lowest < least:
                raise ValueError(f"{name} must be at least {least:g}")
        return self

    _written = omit_defaults()


class Egress(StrictDocument):
    """Traffic that leaves the provider: GB a month at a price per GB [USD]."""

    gb_per_month: NotNegative
    usd_per_gb: NotNegative

    @property
    def usd_per_month(self) -> float:
        """What it costs in a month [USD]."""
        return self.gb_per_month * self.usd_per_gb


class Storage(StrictDocument):
    """What is kept: GB at a price per GB and month [USD]."""

    gb: NotNegative
    usd_per_gb_month: NotNegative

    @property
    def usd_per_month(self) -> float:
        """What it costs in a month [USD]."""
        return self.gb * self.usd_per_gb_month


class Support(StrictDocument):
    """A support contract: a share of the GPUs' cost, and at least an amount a month [USD]."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    least_usd_per_month: NotNegative = 0.0

    def usd_per_month(self, gpus_usd_per_month: float) -> float:
        """What it costs in a month, by what the GPUs cost [USD]."""
        return max(self.share * gpus_usd_per_month, self.least_usd_per_month)


class Extras(StrictDocument):
    """What comes on top of GPUs: reported beside the plan's cost, never a part of it."""

    egress: Egress | None = None
    storage: Storage | None = None
    support: Support | None = None
