"""Constraint families on what changes over time: start, removal; and what the changes cost."""

from __future__ import annotations

from planner.fleet.columns import Columns
from planner.fleet.linear import combine


def start(columns: Columns) -> None:
    """Nodes started in a period are at least those billed beyond the period before."""
    problem = columns.problem
    if not problem.before:
        return
    for e, offers in columns.sites.items():
        for o in offers:
            if o.start_up_hours <= 0 or o.committed:
                continue
            for t, earlier in enumerate(problem.before):
                if not o.runs_in(t):
                    continue
                begun = columns.model.continuous("started", o.key, e, t)
                columns.started[o.key, e, t] = begun
                terms = {columns.nodes[o.key, e, t]: 1.0, begun: -1.0}
                if earlier is not None and earlier != t and o.runs_in(earlier):
                    terms[columns.nodes[o.key, e, earlier]] = -1.0
                running = float(o.existing) if earlier is None else 0.0
                columns.model.row("start", (o.key, e, t), terms, "<=", running)


def removal(columns: Columns) -> None:
    """Existing nodes given up are at least those that run before and not in the first period."""
    if columns.problem.overlap_hours <= 0:
        return
    for o in columns.problem.offers:
        if o.existing <= 0:
            continue
        gone = columns.model.integer("removed", o.key, high=o.existing)
        columns.removed[o.key] = gone
        terms = combine((1.0, columns.billed(0, {o.key: 1.0})), (1.0, {gone: 1.0}))
        columns.model.row("removal", (o.key,), terms, ">=", float(o.existing))


def change_cost(columns: Columns) -> dict[int, float]:
    """USD per hour of the horizon for start-ups and for nodes that overlap while migrating."""
    problem = columns.problem
    hours = sum(problem.period_hours)
    offers = {o.key: o for o in problem.offers}
    times = problem.occurrences or (1.0,) * len(problem.period_hours)
    starts = {
        i: times[t] * offers[o].usd_per_hour * offers[o].start_up_hours / hours
        for (o, _, t), i in columns.started.items()
    }
    overlap = {
        i: offers[o].usd_per_hour * problem.overlap_hours / hours
        for o, i in columns.removed.items()
    }
    return combine((1.0, starts), (1.0, overlap))


def change_hours(columns: Columns, values: list[float]) -> dict[str, float]:
    """Node-hours per offer that ``change_cost`` pays for, over the horizon [h]."""
    problem = columns.problem
    offers = {o.key: o for o in problem.offers}
    times = problem.occurrences or (1.0,) * len(problem.period_hours)
    hours: dict[str, float] = {}
    for (o, _, t), i in columns.started.items():
        hours[o] = hours.get(o, 0.0) + times[t] * offers[o].start_up_hours * values[i]
    for o, i in columns.removed.items():
        hours[o] = hours.get(o, 0.0) + problem.overlap_hours * values[i]
    return {o: h for o, h in hours.items() if h > 1e-9}
