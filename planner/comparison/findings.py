"""What a report says around a plan: other ways to pay, what moves the cost, latency against rate."""

from __future__ import annotations

from dataclasses import dataclass

from planner.derivation.rows import Derivation
from planner.plan import Plan

THREE_YEARS = 36


@dataclass(frozen=True, slots=True)
class Purchase:
    """One way to pay for the plan's GPUs, or for its tokens; costs are None when nobody offers it.

    ``way``: on-demand, spot, 1-year, 3-year, owned or API; ``planned``: the way the plan chose.
    Amounts [USD]: ``upfront_usd`` paid at the start; ``usd_per_month``, the mean over three years;
    ``usd_one_year`` and ``usd_three_years``, what falls on that horizon, an owned server's residual
    value credited; ``present_value_usd`` of the three years; ``liability_usd`` still owed after one
    year. ``cash_flow_usd``: what is paid at the end of month 0 to 36.
    ``break_even_month``: against the first way listed.
    """

    way: str
    what: str
    upfront_usd: float | None = None
    usd_per_month: float | None = None
    usd_one_year: float | None = None
    usd_three_years: float | None = None
    present_value_usd: float | None = None
    liability_usd: float | None = None
    break_even_month: int | None = None
    cash_flow_usd: tuple[float, ...] = ()
    as_of: str = ""
    source: str = ""
    confidence: str = ""
    planned: bool = False


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer after one input moved; ``usd_per_hour`` None when nothing is feasible then."""

    input: str
    change: str
    usd_per_hour: float | None
    gpus: int | None
    choice: tuple[str, ...]


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
    """Latency of one replica over its request rate; where it operates, and its capacity."""

    service: str
    layout: str
    points: tuple[LatencyPoint, ...]
    operating_qps: float
    capacity_qps: float


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

    ``discount_rate``: per year, behind every present value and break-even month.
    """

    plan: Plan
    purchases: tuple[Purchase, ...] = ()
    discount_rate: float | None = None
    break_even: tuple[BreakEven, ...] = ()
    what_ifs: tuple[WhatIf, ...] = ()
    baseline: WhatIf | None = None
    curves: tuple[LatencyCurve, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    notes: tuple[str, ...] = ()
