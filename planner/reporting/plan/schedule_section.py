"""What runs when: a plan's timetable as a table, and demand against capacity over time."""

from __future__ import annotations

from collections.abc import Sequence

from planner.plan.labels import costliest
from planner.plan.periods import Period
from planner.plan.schema import Plan, ServicePlan
from planner.reporting.charts import services as service_charts
from planner.reporting.document import Block, Column, Figure, Quantity, Section, Table

_MOST_CHARTED = 6


def over_time(plan: Plan) -> Section:
    """The plan's periods; empty where nothing varies."""
    periods = plan.periods
    if not plan.varies:
        return Section("over_time", "Over time", ())
    blocks: list[Block] = [
        _figure(plan, s, periods) for s in costliest(plan.services, _MOST_CHARTED)
    ]
    return Section("over_time", "Over time", (*blocks, _table(periods)))


def _figure(plan: Plan, service: ServicePlan, periods: Sequence[Period]) -> Figure:
    each = {g.key(service.name): g.capacity_qps for g in service.replica_groups}
    own = [{k: n for k, n in p.replicas.items() if k in each} for p in periods]
    known = all(set(p.replicas) <= _keys(plan) for p in periods)
    return service_charts.over_time(
        service.name,
        [p.period for p in periods],
        [p.busiest_qps.get(service.name, 0.0) for p in periods],
        [sum(each[k] * n for k, n in replicas.items()) for replicas in own] if known else None,
    )


def _keys(plan: Plan) -> set[str]:
    """The key of every replica group."""
    return {g.key(s.name) for s in plan.services for g in s.replica_groups}


def _table(periods: Sequence[Period]) -> Table:
    columns = (
        Column("period", "Period"),
        Column("hours", "Hours in the horizon", Quantity.COUNT),
        Column("mean_qps", "Mean demand", Quantity.QPS),
        Column("busiest_qps", "Busiest demand", Quantity.QPS),
        Column("unserved_qps", "Unserved", Quantity.QPS, optional=True),
        Column("replicas", "Replicas", Quantity.COUNT),
        Column("nodes", "Nodes paid", Quantity.COUNT),
    )
    rows = tuple(
        (
            p.period,
            p.hours,
            sum(p.mean_qps.values()),
            sum(p.busiest_qps.values()),
            sum(p.unserved_qps.values()),
            sum(p.replicas.values()),
            sum(p.nodes.values()),
        )
        for p in periods
    )
    return Table("schedule", "Timetable, all services together", columns, rows)
