"""The k cheapest fleets of different structure, within a tolerance of the optimum.

The structure of a fleet is the set of things it is made of: GPU types, replica kinds or offers. A
fleet counts as different when it lacks at least one thing of every cheaper fleet listed; more of the
same, or the same with something added, is not an alternative. Every fleet that lacks one thing of
each listed structure avoids some set that hits them all, so a best-first search over things to
leave out, each step solved to proof, yields them in order of cost (a hitting-set tree).
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from planner.fleet.program.problem import Problem, Solution

By = Literal["gpu", "kind", "offer"]
MAX_SOLVES = 60
SERVED_EQUAL_QPS = 1e-6


@dataclass(frozen=True, slots=True)
class AlternativeFleet:
    """A fleet, what it is made of, what was left out to find it, and how much more it costs.

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
    by: By = "gpu",
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
        smaller = _leaving_out(problem, without, by)
        solution = known or solve(smaller)
        cost = solution.objective_usd_per_hour
        if cost is not None and solution.status in ("optimal", "feasible"):
            heapq.heappush(queue, (cost, next(order), without, smaller, solution))

    push(frozenset(), base)
    while queue and len(found) < count:
        cost, _, without, smaller, solution = heapq.heappop(queue)
        structure = frozenset(_structure(smaller, solution, by))
        cheapest = found[0].solution.objective_usd_per_hour if found else cost
        extra = cost / cheapest - 1 if cheapest else 0.0
        if extra > tolerance:
            break
        if found and _unserved_qps(solution) > _unserved_qps(found[0].solution) + SERVED_EQUAL_QPS:
            continue
        if not any(f.structure <= structure for f in found):
            found.append(AlternativeFleet(smaller, solution, structure, without, extra))
        for thing in sorted(structure):
            larger = without | {thing}
            if larger not in tried and len(tried) <= MAX_SOLVES:
                tried.add(larger)
                push(larger)
    return tuple(found)


def _unserved_qps(solution: Solution) -> float:
    return sum(solution.unserved_qps.values())


def _structure(problem: Problem, solution: Solution, by: By) -> Iterator[str]:
    if by == "offer":
        yield from (offer for (offer, _), nodes in solution.billed.items() if nodes)
        return
    used = {kind for (kind, _), replicas in solution.replicas.items() if replicas}
    yield from (k.gpu if by == "gpu" else k.key for k in problem.kinds if k.key in used)


def _leaving_out(problem: Problem, without: frozenset[str], by: By) -> Problem:
    if by == "offer":
        offers = tuple(o for o in problem.offers if o.key not in without)
        return dataclasses.replace(problem, offers=offers)
    kinds = tuple(k for k in problem.kinds if (k.gpu if by == "gpu" else k.key) not in without)
    return dataclasses.replace(problem, kinds=kinds)
