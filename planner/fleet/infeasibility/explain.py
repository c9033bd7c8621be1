"""Why no fleet exists: the smallest set of requirements in conflict, and the nearest way out of each.

Plain solve calls alone are used, no feature of a solver:

1. ``conflict``: the fewest requirements that cannot hold together once all others are dropped.
2. ``relaxing``: for each member, the least change of its value that makes the whole question
   feasible, found by bisection, with the cost of the cheapest fleet there. Where a second conflict
   remains, the members of both are relaxed together. A latency target barely met takes a huge fleet;
   then the strictest target that does not is reported as well.

A conflict is claimed only where the solver proved infeasibility; a relaxation only where the solver
found a fleet. A stop at the time limit counts as neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from planner.fleet.infeasibility.conflict import smallest_conflict
from planner.fleet.infeasibility.oracle import FeasibilityOutcome, Oracle, Question, Requirement
from planner.fleet.infeasibility.relaxation import RelaxedRequirement, relaxations_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why no fleet exists. ``conflict`` is empty when no requirement listed could help.

    ``on_latency``: whether a latency target is among those in conflict; ``stopped``: Ctrl-C ended it.
    """

    summary: str
    conflict: tuple[str, ...]
    relaxations: tuple[RelaxedRequirement, ...]
    on_latency: bool = False
    stopped: bool = False


def explain(
    question: Question,
    requirements: Sequence[Requirement[Question]],
    solve: Callable[[Question], FeasibilityOutcome],
    nearest_misses: Iterable[str] = (),
    advice: Iterable[str] = (),
    is_over: Callable[[], bool] = lambda: False,
) -> Explanation:
    """Explain an infeasible ``question`` in the words of its ``requirements``.

    ``nearest_misses``: why single deployments were rejected, and ``advice``: sentences on what to change,
    both printed when no requirement helps; ``is_over``: whether the time for it has ended, so that the
    smallest conflict proved by then is it. Raises ValueError when the question is not proved infeasible.
    """
    oracle = Oracle(question, requirements, solve)
    everything = frozenset(range(len(requirements)))
    if oracle.may_hold(everything):
        if is_over():
            return Explanation("No fleet meets the scenario.", (), ())
        raise ValueError("only an infeasible question can be explained")
    conflict = smallest_conflict(
        everything,
        oracle.may_hold,
        oracle.widening,
        lambda: oracle.least_without() if is_over() else None,
    )
    if not conflict:
        reasons = "; ".join(nearest_misses) or "no deployment and no offer can serve it"
        summary = f"No limit or target that could be relaxed is the cause: {reasons}."
        return Explanation(" ".join((summary, *advice)), (), ())
    members = [requirements[i] for i in sorted(conflict)]
    stated = tuple(f"{m.name}: {m.write(m.current)}" for m in members)
    if len(members) == 1:
        summary = f"{stated[0]} cannot be met by anything the scenario allows."
    else:
        summary = f"{_listed(stated)} cannot be met together; relax at least one of them."
    relaxations = sorted(
        {
            relaxation
            for i in sorted(conflict)
            for order in (sorted(everything), sorted(everything, reverse=True))
            for relaxation in relaxations_of(i, oracle, order)
        },
        key=lambda r: (r.usd_per_hour or math.inf, r.requirement),
    )
    on_latency = any(m.trades_off for m in members)
    return Explanation(summary, stated, tuple(relaxations), on_latency)


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
