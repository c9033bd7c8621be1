"""Replica kinds that no fleet below a given cost can hold, found without a solver.

Where a service picks one kind for itself, a fleet with that kind costs at least what its GPUs cost at the
lowest price of their type, with every other such service on the kind that is cheapest by the same count.
Where services mix kinds, a fleet costs at least what its rates cost on whichever kinds carry each for the
least, and a replica of a kind wastes the part of its GPUs' price that what it carries would not cost there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from planner.fleet.program.demand_index import Services
from planner.fleet.program.problem import Demand, Problem, ReplicaKind

ROUNDING = 1e-6  # relative: a bound this near to the cost proves nothing


def without_too_dear(problem: Problem, below_usd_per_hour: float) -> Problem:
    """The problem with fewer kinds and offers, and the same fleets that cost less."""
    services = Services.of(problem)
    least = {
        g: {k.key: cost for k, cost in least_usd_per_hour(problem, services, g)}
        for g in services.one_kind
    }
    together = {g: min(costs.values(), default=math.inf) for g, costs in least.items()}
    mixed = _Mixed.of(problem, services)
    all_together = sum(together.values()) + mixed.usd_per_hour
    most = below_usd_per_hour * (1 + ROUNDING)
    dropped = {
        key
        for g, costs in least.items()
        for key, cost in costs.items()
        if all_together == math.inf or all_together - together[g] + cost > most
    }
    dropped |= {
        key for key, usd_per_hour in mixed.wasted.items() if all_together + usd_per_hour > most
    }
    return problem.of_kinds(k for k in problem.kinds if k.key not in dropped)


def no_dearer(problem: Problem, usd_per_hour: float) -> Problem:
    """``without_too_dear`` where dearer fleets are of no use at all: in one period a row says so too.

    A fleet of that cost is known. Periods that share nothing else are solved one by one, which a limit on
    their mean would prevent.
    """
    few = without_too_dear(problem, usd_per_hour)
    if len(few.period_hours) > 1:
        return few
    most = min(few.limits.mean_usd_per_hour or math.inf, usd_per_hour * (1 + ROUNDING))
    return replace(few, limits=replace(few.limits, mean_usd_per_hour=most))


@dataclass(frozen=True, slots=True)
class _Mixed:
    """The services that mix kinds: what they cost at least [USD/h], and what a replica of each kind wastes.

    ``wasted``: beyond that, by kind [USD/h]. Nothing is known, and no kind named, where rates change from
    period to period, may be moved, or need not all be served.
    """

    usd_per_hour: float
    wasted: Mapping[str, float]

    @classmethod
    def of(cls, problem: Problem, services: Services) -> _Mixed:
        """Those of a problem."""
        demands = [d for d in problem.demands if d.service not in services.one_kind]
        known = problem.serve_all and len(problem.period_hours) == 1
        if not demands or not known or any(d.windows for d in demands):
            return cls(0.0, {})
        prices = least_prices(problem)
        costs = {
            k.key: k.own_gpus * prices.get(k.gpu, math.inf)
            for k in problem.kinds
            if not services.users[k.key] & services.one_kind
        }
        kinds = [k for k in problem.kinds if costs.get(k.key, math.inf) < math.inf]
        each = {d.key: _least_per_qps(d, kinds, costs) for d in demands}
        least = sum(d.rates_qps[0] * each[d.key] for d in demands if d.rates_qps[0] > 0)
        carried = {k.key: _least_carried(k, each) for k in kinds}
        return cls(least, {key: costs[key] - min(usd, least) for key, usd in carried.items()})


def _least_per_qps(demand: Demand, kinds: list[ReplicaKind], costs: Mapping[str, float]) -> float:
    """What a request a second costs at least, on the kind that carries it for the least [USD/h]."""
    able = ((costs[k.key], k.capacity_qps.get(demand.key, 0.0)) for k in kinds)
    return min((cost / qps for cost, qps in able if qps > 0), default=math.inf)


def _least_carried(kind: ReplicaKind, each: Mapping[str, float]) -> float:
    """The most that what one replica carries costs on the kinds that are cheapest for it [USD/h]."""
    carried = ((s, qps) for s, qps in kind.capacity_qps.items() if qps > 0 and s in each)
    return max((qps * each[s] for s, qps in carried), default=0.0)


def least_usd_per_hour(
    problem: Problem, services: Services, service: str
) -> Iterator[tuple[ReplicaKind, float]]:
    """Each kind of a service that picks one, and what the service costs at least on it.

    The mean over the periods [USD/h]; infinite where the kind cannot carry the service.
    """
    prices, hours = least_prices(problem), problem.period_hours
    for kind in services.kinds_of[service]:
        gpus = services.gpus_alone(service, kind)
        price = prices.get(kind.gpu, math.inf)
        if gpus is None or price == math.inf:
            yield kind, math.inf
            continue
        running = sum(h * n for h, n in zip(hours, gpus, strict=True)) / sum(hours)
        yield kind, running * kind.gpu_share * price


def least_prices(problem: Problem) -> dict[str, float]:
    """The lowest price of one GPU of each type [USD/h]."""
    prices: dict[str, float] = {}
    for o in problem.offers:
        price = o.usd_per_hour / o.gpus_per_node
        prices[o.gpu] = min(price, prices.get(o.gpu, math.inf))
    return prices
