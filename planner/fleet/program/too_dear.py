"""Replica kinds that no fleet below a given cost can hold, found without a solver.

Where a service picks one kind for itself, a fleet with that kind costs at least what its GPUs cost at the
lowest price of their type, with every other such service on the kind that is cheapest by the same count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from planner.fleet.program.demand_index import Services
from planner.fleet.program.problem import Problem, ReplicaKind

ROUNDING = 1e-6  # relative: a bound this near to the cost proves nothing


def without_too_dear(problem: Problem, below_usd_per_hour: float) -> Problem:
    """The problem with fewer kinds and offers, and the same fleets that cost less."""
    services = Services.of(problem)
    least = {
        g: {k.key: cost for k, cost in least_usd_per_hour(problem, services, g)}
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
    used = {gpu for k in kinds for gpu in k.types}
    offers = tuple(o for o in problem.offers if o.gpu in used or o.existing)
    return replace(problem, kinds=kinds, offers=offers)


def least_usd_per_hour(
    problem: Problem, services: Services, service: str
) -> Iterator[tuple[ReplicaKind, float]]:
    """Each kind of a service that picks one, and what the service costs at least on it.

    The mean over the periods [USD/h]; infinite where the kind cannot carry the service.
    """
    prices, hours = _least_prices(problem), problem.period_hours
    for kind in services.kinds_of[service]:
        gpus = services.gpus_alone(service, kind)
        price = prices.get(kind.gpu, math.inf)
        if gpus is None or price == math.inf:
            yield kind, math.inf
            continue
        running = sum(h * n for h, n in zip(hours, gpus, strict=True)) / sum(hours)
        yield kind, running * kind.gpu_share * price


def _least_prices(problem: Problem) -> dict[str, float]:
    """The lowest price of one GPU of each type [USD/h]."""
    prices: dict[str, float] = {}
    for o in problem.offers:
        price = o.usd_per_hour / o.gpus_per_node
        prices[o.gpu] = min(price, prices.get(o.gpu, math.inf))
    return prices
