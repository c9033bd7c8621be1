"""What a report says around a plan: other ways to pay, what moves the cost, latency against rate."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalog.money_rows import ServiceLevelRow
from planner.catalog.offer import Offer
from planner.derivation.rows import Derivation
from planner.money.ownership import AddedServers, OwnedServer
from planner.money.ways_to_pay import ApiPrice
from planner.plan.money import Rental
from planner.plan.schema import Plan

PLAN = "the plan"  # what a swing moves the cost of, where that is no other way to pay


@dataclass(frozen=True, slots=True)
class OwnedFleet:
    """Servers of one's own: which, how many at the start, and how much of their power range is in use.

    ``meanwhile``: what is rented by the hour until the first are delivered; ``added``: those bought later;
    ``price_range_usd``: between what one may cost [USD].
    """

    server: OwnedServer
    servers: int
    utilisation: float
    meanwhile: tuple[Rental, ...] = ()
    added: tuple[AddedServers, ...] = ()
    price_range_usd: tuple[float, float] | None = None

    @property
    def all_servers(self) -> int:
        """However many are bought in the horizon."""
        return self.servers + sum(more.servers for more in self.added)


@dataclass(frozen=True, slots=True)
class Purchase:
    """One way to pay for the plan's GPUs, or for its tokens; costs are None when nobody offers it.

    ``way``: on-demand, spot, 1-year, 3-year, owned or API; ``planned``: the way the plan chose.
    Accrued [USD]: ``cost_usd`` of the plan's horizon, ``usd_per_month`` its mean; ``left_usd``: paid
    ahead for months beyond, or what servers are worth then, not part of the cost. Cash [USD]:
    ``due_at_signature_usd``; ``upfront_usd``, all payments ahead; ``first_year_usd``, by the end of
    month 12; ``cash_usd``, by the end of the horizon; ``owed_usd``, after it; ``cash_flow_usd``, at the
    end of month 0 to the last payment. ``present_value_usd``: of the cost.
    ``low_usd``, ``high_usd``: the cost at the low and high end of what is known of its prices.
    ``break_even_month``: against the first way listed, by cash alone (servers kept);
    ``counted_break_even_month``: with what either leaves at that month counted (servers sold then, months
    paid ahead used later); both None where it never breaks even. ``leaves``: whether that differs by kind,
    because either leaves anything. ``owed_early_usd``: the most that is still to be paid for terms begun
    were they given up in the horizon. ``sold_usd``: present value of what servers are sold for at its end.
    ``rentals``, ``owned``, ``api``: what is paid for.
    """

    way: str
    what: str
    cost_usd: float | None = None
    usd_per_month: float | None = None
    left_usd: float | None = None
    due_at_signature_usd: float | None = None
    upfront_usd: float | None = None
    first_year_usd: float | None = None
    cash_usd: float | None = None
    owed_usd: float | None = None
    present_value_usd: float | None = None
    break_even_month: int | None = None
    counted_break_even_month: int | None = None
    leaves: bool = False
    owed_early_usd: float = 0.0
    sold_usd: float = 0.0
    low_usd: float | None = None
    high_usd: float | None = None
    cash_flow_usd: tuple[float, ...] = ()
    as_of: str = ""
    source: str = ""
    confidence: str = ""
    planned: bool = False
    rentals: tuple[Rental, ...] = ()
    owned: OwnedFleet | None = None
    api: ApiPrice | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer after one input moved; ``usd_per_hour`` None when nothing is feasible then."""

    input: str
    change: str
    usd_per_hour: float | None
    gpus: int | None
    choice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swing:
    """One input at its low and at its high end, and the mean cost per month then [USD].

    ``of``: what is then paid for, the plan's question solved again or servers of one's own. None where
    nothing is feasible.
    """

    input: str
    of: str
    low: str
    high: str
    low_usd_per_month: float | None
    high_usd_per_month: float | None

    @property
    def width_usd(self) -> float:
        """How far apart the ends are; widest of all where one of them has no fleet."""
        if self.low_usd_per_month is None or self.high_usd_per_month is None:
            return float("inf")
        return abs(self.high_usd_per_month - self.low_usd_per_month)


@dataclass(frozen=True, slots=True)
class PriceRung:
    """The cheapest fleet at list prices of one kind of provider, or in one region.

    ``usd_per_gpu_hour``: mean of the GPUs it rents; costs are None where no fleet exists.
    """

    name: str
    usd_per_gpu_hour: float | None
    usd_per_month: float | None
    what: str
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Energy:
    """Of a month: facility energy [kWh] and emissions [kg CO2e], and both per million tokens.

    ``pue``, ``g_per_kwh``: what was counted with; ``basis``: where power came from, in words.
    """

    kwh_per_month: float
    kg_per_month: float
    kwh_per_million_tokens: float | None
    kg_per_million_tokens: float | None
    pue: float
    g_per_kwh: float
    basis: str


@dataclass(frozen=True, slots=True)
class Regret:
    """The horizon's cost at ``factor`` times the demand [USD]: signed as planned, and at best.

    None where no fleet exists.
    """

    factor: float
    signed_usd: float | None
    hindsight_usd: float | None

    @property
    def regret_usd(self) -> float | None:
        """What signing as planned costs more than hindsight."""
        if self.signed_usd is None or self.hindsight_usd is None:
            return None
        more = self.signed_usd - self.hindsight_usd
        return more if more > 1e-9 * self.signed_usd else 0.0


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The point at which one way to serve becomes cheaper than another."""

    comparison: str
    at: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """One replica at a request rate [requests/s]: its TTFT and TPOT p99 [s]."""

    rate_qps: float
    ttft_p99_s: float
    tpot_p99_s: float


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """Latency of one replica over its request rate; where it operates, and its capacity.

    ``beyond``: at rates above its capacity, as far as it keeps up and as the slow end of the steps reaches:
    with steps ``f`` times as long it is ``f`` times as late as at ``f`` times the rate.
    """

    service: str
    layout: str
    points: tuple[LatencyPoint, ...]
    operating_qps: float
    capacity_qps: float
    beyond: tuple[LatencyPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """How one latency spreads over a service's requests: (share of requests, at most seconds)."""

    service: str
    metric: str
    quantiles_s: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The cheapest fleet with a TPOT p99 of at most ``bound_s`` [s], and what it achieves."""

    bound_s: float
    tpot_p99_s: float
    usd_per_hour: float
    gpus: int
    layout: str


@dataclass(frozen=True, slots=True)
class Findings:
    """A plan with everything found out around it; what was not looked for stays empty.

    ``discount_rate``: per year, behind every present value and break-even month; ``quotes``: the rows of
    the scenario's own price file; ``service_levels``: of the plan's providers, where published; ``stopped``:
    Ctrl-C ended what is solved beside the plan.
    """

    plan: Plan
    purchases: tuple[Purchase, ...] = ()
    discount_rate: float | None = None
    break_even: tuple[BreakEven, ...] = ()
    regrets: tuple[Regret, ...] = ()
    what_ifs: tuple[WhatIf, ...] = ()
    baseline: WhatIf | None = None
    curves: tuple[LatencyCurve, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    swings: tuple[Swing, ...] = ()
    ladder: tuple[PriceRung, ...] = ()
    quotes: tuple[Offer, ...] = ()
    service_levels: tuple[ServiceLevelRow, ...] = ()
    energy: Energy | None = None
    derivations: tuple[Derivation, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False
