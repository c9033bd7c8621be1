"""The cheapest fleet under each narrower choice: one GPU type alone, native precision alone.

Each is the same program with fewer replica kinds, solved to the same proof, so that "why not the
others" is a price and not an opinion.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from planner.fleet.program.problem import Problem, ReplicaKind, Resilience, Solution
from planner.fleet.program.too_dear import least_prices

Solve = Callable[[Problem], Solution]


class Restriction(StrEnum):
    """What a choice may be narrowed to, besides one GPU type; the values are how plans name it."""

    UNPROTECTED = "no failure survived"
    TOGETHER = "prefill and decode together"
    APART = "prefill and decode apart"
    NATIVE = "native precision"


@dataclass(frozen=True, slots=True)
class Rival:
    """What the choice was narrowed to, the narrowed problem, and its cheapest fleet.

    name: the restriction, or the only GPU type.
    """

    name: Restriction | str
    problem: Problem
    solution: Solution


def rival(
    problem: Problem,
    name: Restriction | str,
    keep: Callable[[ReplicaKind], bool],
    solve: Callable[[Problem], Solution],
) -> Rival | None:
    """Solve ``problem`` with the kinds that ``keep`` admits; None when none can serve it."""
    kinds = tuple(k for k in problem.kinds if keep(k))
    if not kinds:
        return None
    smaller = problem.of_kinds(kinds)
    solution = solve(smaller)
    return Rival(name, smaller, solution) if solution.has_fleet else None


def unprotected(problem: Problem, solve: Callable[[Problem], Solution]) -> Rival | None:
    """The fleet that need survive nothing; its cost against the plan's is the price of resilience.

    None where nothing may fail anyway, or no such fleet was found.
    """
    if problem.resilience == Resilience():
        return None
    smaller = dataclasses.replace(problem, resilience=Resilience())
    solution = solve(smaller)
    return Rival(Restriction.UNPROTECTED, smaller, solution) if solution.has_fleet else None


def rival_gpus(
    problem: Problem,
    asked: Callable[[str, Callable[[Solve], Rival | None]], Rival | None],
    *,
    count: int,
    without: Iterable[str] = (),
) -> tuple[Rival, ...]:
    """The cheapest fleets of one GPU type each, cheapest first, leaving out the types in ``without``.

    Only the ``count + 2`` types with the lowest fluid bound (rate over capacity times the cheapest
    GPU-hour, summed over demands) are solved. ``asked(name, find)``: what ``find`` finds with a solver, or
    None where that is not to be looked for.
    """
    left_out = set(without)
    bounds = _fluid_bounds(problem)
    types = sorted(bounds.keys() - left_out, key=lambda g: (bounds[g], g))
    found = (asked(g, partial(_alone, problem, g)) for g in types[: count + 2])
    ranked = sorted(
        (r for r in found if r is not None),
        key=lambda r: (r.solution.objective_usd_per_hour or math.inf, r.name),
    )
    return tuple(ranked[:count])


def _alone(problem: Problem, gpu: str, solve: Solve) -> Rival | None:
    return rival(problem, gpu, _only(gpu), solve)


def _only(gpu: str) -> Callable[[ReplicaKind], bool]:
    return lambda kind: kind.gpu == gpu


def _fluid_bounds(problem: Problem) -> dict[str, float]:
    """Cost by GPU type [USD/h] if replicas and nodes could be split; infinite where a demand is left."""
    prices = least_prices(problem)
    best: dict[tuple[str, str], float] = {}
    for k in problem.kinds:
        for demand, qps in k.capacity_qps.items():
            if qps > 0:
                each = best.get((k.gpu, demand), math.inf)
                best[k.gpu, demand] = min(each, k.gpus / qps)
    return {
        gpu: sum(
            max(d.rates_qps) * best.get((gpu, d.key), math.inf) * prices.get(gpu, math.inf)
            for d in problem.demands
        )
        for gpu in {k.gpu for k in problem.kinds}
    }
