"""Constraint family removal: leaving nodes that run today, and what their overlap costs."""

from __future__ import annotations

from planner.fleet.program.linear_program import combine
from planner.fleet.program.variables import Columns


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


def overlap_cost(columns: Columns) -> dict[int, float]:
    """USD per hour of the horizon for nodes that overlap while migrating."""
    problem = columns.problem
    prices = {o.key: o.usd_per_hour for o in problem.offers}
    share = problem.overlap_hours / sum(problem.period_hours)
    return {i: prices[o] * share for o, i in columns.removed.items()}


def overlap_node_hours(columns: Columns, values: list[float]) -> dict[str, float]:
    """Node-hours per offer that ``overlap_cost`` pays for [h]."""
    hours = {o: columns.problem.overlap_hours * values[i] for o, i in columns.removed.items()}
    return {o: h for o, h in hours.items() if h > 0}
