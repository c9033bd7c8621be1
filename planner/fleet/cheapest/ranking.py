"""Replica kinds in the order of what they cost at least."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.fleet.program.demand_index import Services
from planner.fleet.program.problem import Problem
from planner.fleet.program.too_dear import least_usd_per_hour


def ranked_by_cost(problem: Problem) -> Mapping[str, list[str]] | None:
    """The kinds of each service, the cheapest first; None where a service may mix kinds."""
    services = Services.of(problem)
    if services.one_kind != services.demands.keys():
        return None
    ranked = {}
    for service in services.demands:
        costs = sorted(
            ((usd, kind.key) for kind, usd in least_usd_per_hour(problem, services, service)),
        )
        ranked[service] = [key for usd, key in costs if usd < math.inf]
    return ranked if all(ranked.values()) else None


def cheapest_of(ranked: Mapping[str, list[str]], count: int) -> set[str]:
    """The first ``count`` of each service."""
    return {key for keys in ranked.values() for key in keys[:count]}
