"""Replica kinds that no fleet below a given cost can hold, found without a solver.

Where a service picks one kind for itself, a fleet with that kind costs at least what its GPUs cost at the
lowest price of their type, with every other such service on the kind that is cheapest by the same count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from planner.fleet.program.demand_index import Services
from planner.fleet.program.problem import Problem, ReplicaKind

ROUNDING = 1e-6  # relative: a bound this near to the cost proves nothing


def without_too_dear(problem: Problem, below_usd_per_hour: float) -> Problem:
    """The problem with fewer kinds and offers, and the same fleets that cost less; of one period."""
    services, prices = Services.of(problem), _least_prices(problem)
    least = {
        g: {k.key: _least_usd_per_hour(services, g, k, prices) for k in services.kinds_of[g]}
        for g in services.one_kind
    }
    together = {g: min(costs.values(), default=math.inf) for g, costs in least.items()}
    all_together = sum(together.values())
    most = below_usd_per_hour * (1 + ROUNDING)
    dropped = {
        key
        for g, costs in least.items()
        for key, cost in costs.items()
        if all_together == math.inf or all_together - together[g] + cost > most
    }
    kinds = tuple(k for k in problem.kinds if k.key not in dropped)
    if problem.limits.max_spot_share is not None:  # idle nodes of any type count towards the share
        return replace(problem, kinds=kinds)
    used = {gpu for k in kinds for gpu in k.types}
    offers = tuple(o for o in problem.offers if o.gpu in used or o.existing)
    return replace(problem, kinds=kinds, offers=offers)


def _least_prices(problem: Problem) -> dict[str, float]:
    """The lowest price of one GPU of each type [USD/h]."""
    prices: dict[str, float] = {}
    for o in problem.offers:
        price = o.usd_per_hour / o.gpus_per_node
        prices[o.gpu] = min(price, prices.get(o.gpu, math.inf))
    return prices


def _least_usd_per_hour(
    services: Services, service: str, kind: ReplicaKind, prices: Mapping[str, float]
) -> float:
    """What the service costs at least on ``kind``; infinite where the kind cannot carry it."""
    gpus = services.gpus_alone(service, kind)
    if gpus is None:
        return math.inf
    return max(gpus) * kind.gpu_share * prices.get(kind.gpu, math.inf)
