"""What runs when: a plan's timetable as a table, and demand against capacity over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner.comparison.naming import candidate_key, costliest
from planner.plan import Plan, ServicePlan
from planner.reporting import service_charts
from planner.reporting.document import Block, Column, Figure, Quantity, Section, Table

Period = Mapping[str, Any]
_MOST_CHARTED = 6


def over_time(plan: Plan) -> Section:
    """The plan's periods; empty where nothing varies."""
    periods: Sequence[Period] = plan.details.get("schedule", ())
    if not periods:
        return Section("over_time", "Over time", ())
    blocks: list[Block] = [_figure(s, periods) for s in costliest(plan.services, _MOST_CHARTED)]
    return Section("over_time", "Over time", (*blocks, _table(periods)))


def _figure(service: ServicePlan, periods: Sequence[Period]) -> Figure:
    each = {candidate_key(service.name, g): g.capacity_qps for g in service.replica_groups}
    own = [
        {k: n for k, n in p["replicas"].items() if k.startswith(f"{service.name}: ")}
        for p in periods
    ]
    known = all(set(replicas) <= set(each) for replicas in own)
    return service_charts.over_time(
        service.name,
        [p["period"] for p in periods],
        [p["busiest_qps"].get(service.name, 0.0) for p in periods],
        [sum(each[k] * n for k, n in replicas.items()) for replicas in own] if known else None,
    )


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
            str(p["period"]),
            p["hours"],
            sum(p["mean_qps"].values()),
            sum(p["busiest_qps"].values()),
            sum(p["unserved_qps"].values()),
            sum(p["replicas"].values()),
            sum(p["nodes"].values()),
        )
        for p in periods
    )
    return Table("schedule", "Timetable, all services together", columns, rows)
