"""Routes of every period: all demand is routed or recorded as not served, within the capacity of replicas."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.fleet.program.problem import Problem, Solution
from planner.plan.schema import Plan
from planner.verification.check import Check, at_most, equal, skipped

NEGLIGIBLE_QPS = 1e-6  # what a solver leaves where it means nothing
FAMILY = "routes"


def route_checks(plan: Plan, problem: Problem, decision: Solution) -> Iterator[Check]:
    """Demand against routes, and routes against capacities, period by period."""
    if not any(p.routed_qps for p in plan.periods):
        reason = "the plan was written before routes were recorded"
        yield skipped(FAMILY, "routes of every period", reason)
        return
    for t, period in enumerate(plan.periods):
        for demand in problem.demands:
            routed = math.fsum(
                rate for (d, _, p), rate in decision.routed_qps.items() if (d, p) == (demand.key, t)
            )
            short = decision.unserved_qps.get((demand.key, t), 0.0)
            statement = f"{period.period}: {demand.key} is routed or not served [requests/s]"
            yield equal(FAMILY, statement, routed + short, demand.rates_qps[t])
        for kind in problem.kinds:
            load = {d: r for (d, k, p), r in decision.routed_qps.items() if (k, p) == (kind.key, t)}
            if max(load.values(), default=0.0) < NEGLIGIBLE_QPS:
                continue
            needed = math.fsum(
                rate / kind.capacity_qps[d] if kind.capacity_qps.get(d) else math.inf
                for d, rate in load.items()
            )
            statement = f"{period.period}: {kind.key}: the load is within its replicas [replicas]"
            yield at_most(FAMILY, statement, needed, decision.replicas.get((kind.key, t), 0))
