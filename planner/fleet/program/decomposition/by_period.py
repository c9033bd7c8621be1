"""A fleet over time that nothing ties together but its kind: every hour is a program of its own.

Nodes on demand and spot nodes are paid by the hour. Where no commitment, no node that runs already and no
contract lasts longer than a period, the kind of replica is all that the periods share. A service that picks
one kind then costs, for each kind, the sum of its periods' optima, and hours with the same rate have the
same. Twenty-four hours over hundreds of spot pools, one program that was not proved in minutes, are a few
dozen programs of a moment each, and no place need be left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.fleet.program.problem import Problem, Solution, Status
from planner.fleet.program.solver import relative_gap

CLOSE = 1e-6  # relative: bound and cost that are this near are the same
EQUAL = 1e-9


def separable(problem: Problem) -> bool:
    """Whether nothing but its kind of replica ties the periods of a problem together."""
    limits = problem.limits
    return (
        len(problem.period_hours) > 1
        and problem.resilience.by_place
        and problem.serve_all
        and not problem.overlap_hours
        and limits.max_vendors is None
        and limits.max_usd_per_hour is None
        and limits.mean_usd_per_hour is None
        and not any(d.windows or d.deferrable for d in problem.demands)
        and not any(
            o.committed or o.existing or o.min_nodes > 1 or o.periods is not None
            for o in problem.offers
        )
    )


@dataclass(frozen=True, slots=True)
class _OverTime:
    """The optima of a kind's periods: their mean cost and its bound [USD/h], None where there is no fleet.

    ties: what decides between kinds of one cost, billed GPUs over all periods and then TPOT [s].
    """

    by_period: Mapping[int, Solution]
    usd_per_hour: float | None
    bound: float
    status: Status
    ties: tuple[int, float] = (0, 0.0)


def period_by_period(
    parts: Sequence[tuple[float, Problem]],
    solve: Callable[[Problem], Solution],
    is_over: Callable[[], bool],
) -> Solution:
    """The cheapest kind, with every period solved by itself.

    parts: problems of one kind each, with what each costs at least [USD/h]. solve: of one period; is_over:
    whether the time is up.
    """
    ranked = sorted(enumerate(parts), key=lambda part: (part[1][0], part[0]))
    best: _OverTime | None = None
    bounds: list[float] = []
    unproved = False
    for _, (least, problem) in ranked:
        known = math.inf if best is None or best.usd_per_hour is None else best.usd_per_hour
        if least >= known * (1 + EQUAL) or is_over():
            bounds.append(least)
            unproved = unproved or is_over()
            if least >= known * (1 + EQUAL):
                break
            continue
        found = _over_time(problem, solve, is_over)
        if found.status == "infeasible":
            continue
        bounds.append(max(least, found.bound))
        unproved = unproved or found.status != "optimal"
        if _is_better(found, best):
            best = found
    if best is None or best.usd_per_hour is None:
        return Solution(
            "unknown" if unproved else "infeasible", None, min(bounds, default=None), None
        )
    bound = min(best.usd_per_hour, *bounds)
    gap = relative_gap(best.usd_per_hour, bound)
    return _together(best, bound, gap, "optimal" if gap <= CLOSE else "feasible")


def _is_better(mine: _OverTime, best: _OverTime | None) -> bool:
    """Whether a kind is cheaper than the best by now, or as cheap with fewer GPUs and then a lower TPOT."""
    if mine.usd_per_hour is None:
        return False
    if best is None or best.usd_per_hour is None:
        return True
    if abs(mine.usd_per_hour - best.usd_per_hour) > EQUAL * best.usd_per_hour:
        return mine.usd_per_hour < best.usd_per_hour
    return mine.ties < best.ties


def _over_time(
    problem: Problem, solve: Callable[[Problem], Solution], is_over: Callable[[], bool]
) -> _OverTime:
    """Every period of a problem of one kind, the busiest first; periods of the same rates once."""
    known: dict[tuple[float, ...], Solution] = {}
    by_period: dict[int, Solution] = {}
    cost = bound = 0.0
    status: Status = "optimal"
    rates = {t: tuple(d.rates_qps[t] for d in problem.demands) for t in problem.periods}
    whole = sum(problem.period_hours)
    for t in sorted(problem.periods, key=lambda t: (-sum(rates[t]), t)):
        if rates[t] not in known:
            if is_over():
                return _OverTime({}, None, 0.0, "unknown")
            known[rates[t]] = solve(_only(problem, t))
        found, share = known[rates[t]], problem.period_hours[t] / whole
        if found.status == "infeasible":
            return _OverTime({}, None, math.inf, "infeasible")
        if found.objective_usd_per_hour is None:
            return _OverTime({}, None, 0.0, "unknown")
        status = status if found.status == "optimal" else "feasible"
        cost += share * found.objective_usd_per_hour
        bound += share * (found.bound_usd_per_hour or 0.0)
        by_period[t] = found
    gpus = {o.key: o.gpus_per_node for o in problem.offers}
    billed = sum(gpus[o] * n for s in by_period.values() for (o, _), n in s.billed.items())
    tpot_s = max((kind.tpot_s for kind in problem.kinds), default=0.0)
    return _OverTime(by_period, cost, bound, status, (billed, tpot_s))


def _only(problem: Problem, period: int) -> Problem:
    """The problem of one period."""
    demands = tuple(replace(d, rates_qps=(d.rates_qps[period],)) for d in problem.demands)
    return replace(problem, demands=demands, period_hours=(1.0,))


def _together(found: _OverTime, bound: float, gap: float, status: Status) -> Solution:
    """One solution over all periods of what each of them has."""
    parts = found.by_period
    distinct = list({id(s): s for s in parts.values()}.values())
    return Solution(
        status=status,
        objective_usd_per_hour=found.usd_per_hour,
        bound_usd_per_hour=bound,
        gap=gap,
        replicas={(k, t): n for t, s in parts.items() for (k, _), n in s.replicas.items()},
        nodes={(o, k, t): n for t, s in parts.items() for (o, k, _), n in s.nodes.items()},
        billed={(o, t): n for t, s in parts.items() for (o, _), n in s.billed.items()},
        routed_qps={
            (d, k, t): r for t, s in parts.items() for (d, k, _), r in s.routed_qps.items()
        },
        unserved_qps={(d, t): r for t, s in parts.items() for (d, _), r in s.unserved_qps.items()},
        variables=sum(s.variables for s in distinct),
        constraints=sum(s.constraints for s in distinct),
        restrictions=tuple(sorted({r for s in distinct for r in s.restrictions})),
    )
