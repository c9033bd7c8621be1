"""Requests for replicas that a fleet holds for a loss alone.

The program routes by shares that it is free to choose. Where a kind is rented so that the rest may be lost
(failures, spot pools), it may leave that kind without any request until then; its caches would be cold, and
nothing would say how it does at work.
"""

from __future__ import annotations

from dataclasses import replace

from planner.fleet.program.problem import Demand, Problem, ReplicaKind, Solution

Routes = dict[tuple[str, str, int], float]


def with_none_idle(problem: Problem, solution: Solution) -> Solution:
    """The same fleet with requests for every kind that runs and got none.

    A kind takes its part, by capacity, of the largest demand that it can serve: others then have less to
    do, and its own replicas no more than they hold. A demand that goes to one kind whole stays there.
    """
    routed = dict(solution.routed_qps)
    busy = {kind for (_, kind, _), rate in routed.items() if rate > 0}
    for kind in problem.kinds:
        if kind.key in busy:
            continue
        for period in problem.periods:
            if solution.replicas.get((kind.key, period)):
                _take_part(problem, solution, routed, kind, period)
    return replace(solution, routed_qps=routed)


def _take_part(
    problem: Problem, solution: Solution, routed: Routes, kind: ReplicaKind, period: int
) -> None:
    """Move a part of one demand from the kinds that serve it."""

    def held_qps(k: ReplicaKind, s: Demand) -> float:
        return solution.replicas.get((k.key, period), 0) * k.capacity_qps.get(s.key, 0.0)

    served = {
        s: sum(routed.get((s.key, k.key, period), 0.0) for k in problem.kinds)
        for s in problem.demands
        if not s.whole and not s.windows and held_qps(kind, s) > 0
    }
    demand = max(served, key=lambda s: served[s], default=None)
    if demand is None or served[demand] <= 0:
        return
    serving = [k for k in problem.kinds if routed.get((demand.key, k.key, period), 0.0) > 0]
    together = held_qps(kind, demand) + sum(held_qps(k, demand) for k in serving)
    part = held_qps(kind, demand) / together
    for k in serving:
        routed[demand.key, k.key, period] *= 1 - part
    routed[demand.key, kind.key, period] = part * served[demand]
