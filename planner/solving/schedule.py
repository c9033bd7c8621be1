"""What runs when: nodes paid for part of the time, demand served on average, and the timetable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from planner.fleet.offers.node_offers import offer_key
from planner.fleet.program.problem import Solution
from planner.plan.periods import Period
from planner.solving.stages import Decided

NEGLIGIBLE_H = 1e-6  # node-hours below what a solver's tolerance leaves behind


def rented(decided: Decided) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """For each offer: how many nodes are paid for which share of the time, the steadiest first.

    Nodes that overlap while migrating count as time of the least steady nodes.
    """
    problem, solution = decided.problem, decided.solution
    hours = sum(problem.period_hours)
    paid: dict[str, list[int]] = defaultdict(lambda: [0] * len(problem.period_hours))
    extra: dict[str, float] = defaultdict(float)
    for (key, period), n in solution.billed.items():
        paid[offer_key(key)][period] += n
    for key, node_hours in solution.overlap_node_hours.items():
        if node_hours > NEGLIGIBLE_H:
            extra[offer_key(key)] += node_hours
    for key in sorted({*paid, *extra}):
        levels: list[tuple[int, float]] = []
        counts = paid[key]
        for low, high in zip((0, *sorted(set(counts))), sorted(set(counts)), strict=False):
            if high > low:
                shared = sum(
                    h for n, h in zip(counts, problem.period_hours, strict=True) if n >= high
                )
                levels.append((high - low, shared / hours))
        if extra[key] and not levels:
            levels.append((max(1, round(extra[key] / problem.overlap_hours)), 0.0))
        if extra[key]:
            n, share = levels[-1]
            levels[-1] = (n, share + extra[key] / hours / n)
        yield key, levels


def served_beside(solution: Solution, decided: Decided) -> dict[str, float]:
    """What another fleet for the same demand serves, by service [requests/s]; {} where all must be served."""
    if decided.problem.serve_all:
        return {}
    return {s.name: mean_served_qps(s.name, decided, solution) for s in decided.scenario.services}


def mean_served_qps(service: str, decided: Decided, solution: Solution | None = None) -> float:
    """Mean rate served over the periods [requests/s]: the mean demand less what is not served.

    solution: another one for the same demand; the decided one where left out.
    """
    solution = solution or decided.solution
    mean, lasting = decided.calendar.mean_qps[service], decided.calendar.hours
    own = [d for d in decided.problem.demands if d.service == service]
    served = 0.0
    for t, hours in enumerate(lasting):
        requested = sum(d.rates_qps[t] for d in own)
        short = sum(solution.unserved_qps.get((d.key, t), 0.0) for d in own)
        served += hours * mean[t] * (1 - short / requested if requested else 1.0)
    return served / sum(lasting)


def periods_of(decided: Decided) -> tuple[Period, ...]:
    """Every period of the plan: when, how long, demand, replicas, nodes and routes."""
    calendar, solution = decided.calendar, decided.solution
    return tuple(
        Period(
            period=label,
            hours=calendar.hours[t],
            mean_qps={s: rates[t] for s, rates in calendar.mean_qps.items()},
            busiest_qps={s: rates[t] for s, rates in calendar.sizing_qps.items()},
            replicas={k: n for (k, q), n in sorted(solution.replicas.items()) if q == t},
            nodes={o: n for (o, q), n in sorted(solution.billed.items()) if q == t},
            unserved_qps={s: r for (s, q), r in sorted(solution.unserved_qps.items()) if q == t},
            routed_qps=_routes(decided, t),
        )
        for t, label in enumerate(calendar.labels)
    )


def _routes(decided: Decided, period: int) -> dict[str, dict[str, float]]:
    routes: dict[str, dict[str, float]] = {}
    for (demand, kind, t), rate in sorted(decided.solution.routed_qps.items()):
        if t == period and rate > 0:
            routes.setdefault(kind, {})[demand] = rate
    return routes
