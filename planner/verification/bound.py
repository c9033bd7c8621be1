"""A lower bound on the cost that needs no solver, to hold a plan's optimality against.

If replicas and nodes could be split at will, and no stock, budget or failure stood in the way, a
request would cost the least over replica kinds of ``gpus / capacity x price per GPU``. No fleet made
of the same candidates and offers is cheaper; how far a plan lies above is what whole replicas, whole
nodes and limits cost it at most.
"""

from __future__ import annotations

import math

from planner.fleet.program.problem import Demand, Problem, ReplicaKind


def fluid_bound_usd_per_hour(problem: Problem) -> float:
    """Mean cost [USD/h] over the periods if everything could be split; infinite where nothing serves.

    Holds for any choice of committed, spot and on-demand offers: each is taken at its hourly price
    and only for the hours it is used.
    """
    cheapest: dict[str, float] = {}
    for offer in problem.offers:
        each = offer.usd_per_hour / offer.gpus_per_node
        cheapest[offer.gpu] = min(each, cheapest.get(offer.gpu, math.inf))
    hours = sum(problem.period_hours)
    return math.fsum(
        _mean_rate_qps(demand, problem.period_hours, hours)
        * _usd_per_request_s(problem, demand, cheapest)
        for demand in problem.demands
    )


def _usd_per_hour(kind: ReplicaKind, cheapest: dict[str, float]) -> float:
    """One replica at the cheapest prices of its GPUs [USD/h]."""
    own = kind.gpus * kind.gpu_share * cheapest.get(kind.gpu, math.inf)
    pool = kind.beside
    return own if pool is None else own + pool.gpus * cheapest.get(pool.gpu, math.inf)


def _mean_rate_qps(demand: Demand, period_hours: tuple[float, ...], hours: float) -> float:
    return math.fsum(r * h for r, h in zip(demand.rates_qps, period_hours, strict=True)) / hours


def _usd_per_request_s(problem: Problem, demand: Demand, cheapest: dict[str, float]) -> float:
    """USD per hour for one request per second, at the best kind's full load."""
    return min(
        (
            _usd_per_hour(kind, cheapest) / capacity
            for kind in problem.kinds
            if (capacity := kind.capacity_qps.get(demand.key, 0.0)) > 0
        ),
        default=math.inf,
    )
