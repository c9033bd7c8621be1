"""A service that picks one kind, over time or after failures: one small program per kind.

Mixing all kinds in one relaxation makes its bound weak (a tenth of each), and the search long. Kept
apart, each program is small; the cheapest optimum is the answer, and no bound is above the least of
theirs. Kinds whose relaxation already costs more than a known plan need no search at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from heapq import heapify, heappop, heappush

from planner.fleet.program.demand_index import Services
from planner.fleet.program.dominance import without_dominated
from planner.fleet.program.linear_program import LinearProgram
from planner.fleet.program.objective import cost, minimise_in_order, tie_break, until
from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind, Status
from planner.fleet.program.solver import SolverLimits, SolverResult, minimise, relative_gap
from planner.fleet.program.too_dear import least_usd_per_hour
from planner.fleet.program.variables import Columns

EQUAL = 1e-9  # relative difference below which two plans cost the same


def branches(problem: Problem) -> list[Problem]:
    """One problem per kind where a single service picks one and the program is hard; else the problem."""
    services = Services.of(problem)
    hard = len(problem.period_hours) > 1 or problem.resilience.by_place or problem.placed
    if not hard or len(services.demands) != 1 or not services.one_kind:
        return [problem]
    alone = (
        replace(
            problem,
            kinds=(kind,),
            offers=tuple(
                o for o in problem.offers if o.existing or _holds(kind, o, problem.offers)
            ),
        )
        for kind in problem.kinds
    )
    return list(alone) or [problem]


def _holds(kind: ReplicaKind, offer: NodeOffer, offers: tuple[NodeOffer, ...]) -> bool:
    """Whether an offer has a GPU type of the kind, in a place that has them all."""
    if offer.gpu not in kind.types:
        return False
    return kind.beside is None or all(
        any(o.gpu == gpu and o.place == offer.place for o in offers) for gpu in kind.types
    )


def cheapest_branch(
    problems: list[Problem],
    build: Callable[[Problem], Columns],
    effort: SolverLimits,
    deadline: float,
) -> tuple[Columns, SolverResult]:
    """The cheapest of the problems, tried in the order of their relaxations' bounds.

    ``build``: the program of one.
    """
    parts = [_Part(p, build) for p in problems]
    best, kept = SolverResult("infeasible", None, None, None, 0.0), parts[0]
    bounds: list[float] = []
    unproved = False

    def known_usd_per_hour() -> float:
        """The cost of a plan found by now, where a bound beyond it says no more than that."""
        return math.inf if best.objective is None or effort.gap > 0 else best.objective

    for bound, part in _hopeful(parts, effort, deadline, known_usd_per_hour):
        if best.objective is not None and bound > best.objective * (1 - effort.gap + EQUAL):
            bounds.append(bound)
            break
        outcome = minimise_in_order(part.columns, until(effort, deadline), deadline)
        if outcome.status != "infeasible":
            bounds.append(bound if outcome.bound is None else max(bound, outcome.bound))
            unproved = unproved or outcome.status != "optimal"
        if _is_better(part.columns, outcome, kept.columns, best):
            best, kept = outcome, part
    if best.objective is None:
        status: Status = "unknown" if unproved else "infeasible"
        return kept.columns, replace(best, status=status, bound=min(bounds, default=None))
    least = min(bounds)
    closed = relative_gap(best.objective, least) <= max(effort.gap, 1e-6)
    return kept.columns, replace(
        best, bound=min(least, best.objective), status="optimal" if closed else "feasible"
    )


class _Part:
    """A problem of one kind, written as a program once that is needed."""

    def __init__(self, problem: Problem, build: Callable[[Problem], Columns]) -> None:
        self.problem = problem
        self._build = build

    @cached_property
    def columns(self) -> Columns:
        return self._build(without_dominated(self.problem))


def _hopeful(
    parts: list[_Part],
    effort: SolverLimits,
    deadline: float,
    known_usd_per_hour: Callable[[], float],
) -> Iterator[tuple[float, _Part]]:
    """The parts by the bounds of their relaxations, the least first; those without one are left out.

    A relaxation is solved once nothing else can cost less: what the GPUs cost is a bound of its bound. Where
    that is more than ``known_usd_per_hour`` it does as well.
    """
    waiting = [(least_cost(part.problem), i, False) for i, part in enumerate(parts)]
    heapify(waiting)
    while waiting:
        bound, i, relaxed = heappop(waiting)
        if relaxed or bound > known_usd_per_hour() * (1 + EQUAL):
            yield bound, parts[i]
            continue
        own = _relaxed_bound(parts[i].columns, until(effort, deadline))
        if own is not None:
            heappush(waiting, (own, i, True))


def least_cost(problem: Problem) -> float:
    """A little less than the kind of ``problem`` costs at least [USD/h]."""
    services = Services.of(problem)
    (service,) = services.demands
    found = least_usd_per_hour(problem, services, service)
    return min((cost for _, cost in found), default=math.inf) * (1 - EQUAL)


def _relaxed_bound(columns: Columns, effort: SolverLimits) -> float | None:
    """The cost of the program without whole numbers; None where even that is infeasible."""
    relaxed = LinearProgram(
        [replace(c, integer=False) for c in columns.model.columns], columns.model.rows
    )
    outcome = minimise(relaxed, cost(columns), effort)
    if outcome.status == "infeasible":
        return None
    return outcome.objective if outcome.status == "optimal" else 0.0


def _is_better(mine: Columns, outcome: SolverResult, theirs: Columns, best: SolverResult) -> bool:
    """Whether a branch's plan is cheaper, or as cheap with fewer GPUs and then a lower TPOT."""
    if outcome.objective is None or outcome.values is None:
        return False
    if best.objective is None or best.values is None:
        return True
    if abs(outcome.objective - best.objective) > EQUAL * best.objective:
        return outcome.objective < best.objective
    return _ties(mine, outcome.values) < _ties(theirs, best.values)


def _ties(columns: Columns, values: list[float]) -> tuple[int, float]:
    gpus = sum(c * values[i] for i, c in tie_break(columns).items())
    return round(gpus), max((k.tpot_s for k in columns.problem.kinds), default=0.0)
