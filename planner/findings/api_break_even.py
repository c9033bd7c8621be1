"""From which request rate a fleet of one's own, sized for each rate anew, beats an API."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from planner.findings.schema import BreakEven, Purchase
from planner.money.rates import break_even_rate_qps
from planner.plan.schema import Plan
from planner.units import HOURS_PER_MONTH


def resized_against_api(
    plan: Plan, ways: Iterable[Purchase], usd_per_hour_at: Mapping[float, float | None]
) -> BreakEven | None:
    """The break-even among the rates solved, the plan's own included; None without an API price.

    ``usd_per_hour_at``: cost of the cheapest fleet [USD/h] by request rate, None where none exists.
    """
    api = next((w for w in ways if w.way == "API" and w.usd_per_month is not None), None)
    if api is None or api.usd_per_month is None or plan.totals is None:
        return None
    planned = plan.served_qps
    per_request = api.usd_per_month / (HOURS_PER_MONTH * 3600 * planned)
    costs = {**usd_per_hour_at, planned: plan.totals.usd_per_hour}
    rates = sorted(costs)

    def fleet_usd_per_hour(rate: float) -> float:
        cost = costs[rate]
        return math.inf if cost is None else cost

    even = break_even_rate_qps(fleet_usd_per_hour, per_request, rates)
    tried = f"of the rates solved, {rates[0]:.3g} to {rates[-1]:.3g} requests/s"
    name = "a fleet sized for each rate against the API"
    if even is None:
        return BreakEven(name, f"not up to {rates[-1]:.3g} requests/s", tried)
    at = f"{even:.3g} requests/s" if even > rates[0] else f"at or below {even:.3g} requests/s"
    return BreakEven(name, at, f"the fleet is cheaper from there on, {tried}")
