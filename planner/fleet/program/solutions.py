"""Programs that were solved to proof, kept between runs (``planner.cache_folder``) by all that they hold.

A question is one scenario; solving it takes a dozen programs (itself, each other GPU type alone, what
its search left out), and explaining, reporting or widening it takes them again. Only what was proved is
kept: it does not depend on how long the solver had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from planner import cache_folder
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Solution
from planner.kept_rows import ALL, KeptRows, RowStore

PROVED = ("optimal", "infeasible")
_DEMAND, _KIND, _OFFER = (
    attrgetter(*(f.name for f in fields(part))) for part in (Demand, ReplicaKind, NodeOffer)
)
_WHOLE = attrgetter(
    *(f.name for f in fields(Problem) if f.name not in ("demands", "kinds", "offers"))
)


class SolutionStore:
    """The proved programs of the questions of one session; ``namespace``: the program and its solver."""

    def __init__(self, namespace: str) -> None:
        self._questions = RowStore("solved", namespace, lasts=True, most_rows=ALL)

    def of(self, question: str) -> ProvedSolutions:
        """The programs of one question, those of earlier runs among them."""
        return ProvedSolutions(self._questions.of(question))

    def save(self) -> None:
        """Keep what is new for later runs."""
        self._questions.save()


class ProvedSolutions:
    """Solutions of one question by program."""

    def __init__(self, rows: KeptRows) -> None:
        self._rows = rows

    def of(self, problem: Problem, how: str, solve: Callable[[], Solution]) -> Solution:
        """The solution kept of this program, solved as ``how`` says, or a new one."""
        name = cache_folder.key_of((how, problem_text(problem)))
        row = self._rows.find(name)
        known = restored(row) if row is not None else None
        if known is not None:
            return known
        solution = solve()
        if solution.status in PROVED:
            self._rows.keep(name, plain(solution))
        return solution


def problem_text(problem: Problem) -> str:
    """All that a problem holds."""
    parts = (
        [_DEMAND(d) for d in problem.demands],
        [_KIND(k) for k in problem.kinds],
        [_OFFER(o) for o in problem.offers],
        _WHOLE(problem),
    )
    return repr(parts)


def plain(s: Solution) -> list[Any]:
    """A proved solution in JSON values."""
    return [
        [s.status, s.objective_usd_per_hour, s.bound_usd_per_hour, s.gap, s.seconds],
        [s.solver, s.solver_version, s.variables, s.constraints, s.kinds_after_dominance],
        _rows(s.replicas),
        _rows(s.nodes),
        _rows(s.billed),
        _rows(s.routed_qps),
        _rows(s.unserved_qps),
        dict(s.overlap_node_hours),
        list(s.restrictions),
    ]


def restored(row: Any) -> Solution | None:
    """The solution of such values, with the seconds its proof took; None for others."""
    try:
        proof, program, replicas, nodes, billed, routed, unserved, overlap, restrictions = row
        status, objective, bound, gap, seconds = proof
        solver, solver_version, variables, constraints, kinds = program
        return Solution(
            status=status,
            objective_usd_per_hour=objective,
            bound_usd_per_hour=bound,
            gap=gap,
            seconds=seconds,
            replicas=_by_key(replicas),
            nodes=_by_key(nodes),
            billed=_by_key(billed),
            routed_qps=_by_key(routed),
            unserved_qps=_by_key(unserved),
            solver=solver,
            solver_version=solver_version,
            variables=variables,
            constraints=constraints,
            kinds_after_dominance=kinds,
            overlap_node_hours=dict(overlap),
            restrictions=tuple(restrictions),
        )
    except (TypeError, ValueError):
        return None


def _rows(values: Mapping[Any, float]) -> list[list[Any]]:
    return [[*key, value] for key, value in values.items()]


def _by_key(rows: list[list[Any]]) -> dict[Any, Any]:
    return {tuple(key): value for *key, value in rows}
