"""The k cheapest fleets of different structure, within a tolerance of the optimum.

The structure of a fleet is the set of its GPU types. A fleet counts as different when it lacks at least one
type of every cheaper fleet listed; more of the same, or the same with something added, is not an
alternative. Every fleet that lacks one type of each listed structure avoids some set that hits them all,
so a best-first search over types to leave out, each step solved to proof, yields them in order of cost (a
hitting-set tree).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from planner.fleet.program.problem import Problem, Solution

MAX_SOLVES = 60
SERVED_EQUAL_QPS = 1e-6


@dataclass(frozen=True, slots=True)
class AlternativeFleet:
    """A fleet, its GPU types, which were left out to find it, and how much more it costs.

    ``extra_share``: cost above the cheapest, as a share of it.
    """

    problem: Problem
    solution: Solution
    structure: frozenset[str]
    without: frozenset[str]
    extra_share: float


def best_structures(
    problem: Problem,
    solve: Callable[[Problem], Solution],
    *,
    count: int,
    tolerance: float,
    base: Solution | None = None,
) -> tuple[AlternativeFleet, ...]:
    """Return up to ``count`` fleets of different structure, the cheapest (the optimum) first.

    ``tolerance``: the most a fleet may cost above the cheapest, as a share of it; ``base``: the
    solution of ``problem`` when it is already known. Where not all must be served, a fleet that
    serves less than the cheapest is no alternative to it. Stops after ``MAX_SOLVES`` solves.
    """
    found: list[AlternativeFleet] = []
    tried: set[frozenset[str]] = {frozenset()}
    order = itertools.count()
    queue: list[tuple[float, int, frozenset[str], Problem, Solution]] = []

    def push(without: frozenset[str], known: Solution | None = None) -> None:
        smaller = _leaving_out(problem, without)
        solution = known or solve(smaller)
        cost = solution.objective_usd_per_hour
        if cost is not None and solution.has_fleet:
            heapq.heappush(queue, (cost, next(order), without, smaller, solution))

    push(frozenset(), base)
    while queue and len(found) < count:
        cost, _, without, smaller, solution = heapq.heappop(queue)
        structure = _structure(smaller, solution)
        cheapest = found[0].solution.objective_usd_per_hour if found else cost
        extra = cost / cheapest - 1 if cheapest else 0.0
        if extra > tolerance:
            break
        if found and _unserved_qps(solution) > _unserved_qps(found[0].solution) + SERVED_EQUAL_QPS:
            continue
        if not any(f.structure <= structure for f in found):
            found.append(AlternativeFleet(smaller, solution, structure, without, extra))
        for gpu in sorted(structure):
            larger = without | {gpu}
            if larger not in tried and len(tried) <= MAX_SOLVES:
                tried.add(larger)
                push(larger)
    return tuple(found)


def _unserved_qps(solution: Solution) -> float:
    return sum(solution.unserved_qps.values())


def _structure(problem: Problem, solution: Solution) -> frozenset[str]:
    used = {kind for (kind, _), replicas in solution.replicas.items() if replicas}
    return frozenset(k.gpu for k in problem.kinds if k.key in used)


def _leaving_out(problem: Problem, without: frozenset[str]) -> Problem:
    return problem.of_kinds(k for k in problem.kinds if k.gpu not in without)
