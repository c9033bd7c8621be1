"""Options side by side, as a document: which wins and why, then every figure of every option."""

from __future__ import annotations

from planner.comparison.options import Comparison, Option
from planner.plan.labels import busiest_qps, headroom_qps, held_qps, simulated
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.charts import money as money_charts
from planner.reporting.document import (
    Block,
    Cell,
    Column,
    Document,
    Quantity,
    Section,
    Table,
    Value,
)
from planner.units import counted

_SIDE_BY_SIDE = 5
_LATENCIES = ("ttft_p50_s", "ttft_p99_s", "tpot_p50_s", "tpot_p99_s")

_COLUMNS = (
    Column("replicas", "Replicas"),
    Column("gpus_used", "GPUs in use", Quantity.COUNT),
    Column("gpus_rented", "GPUs rented", Quantity.COUNT),
    Column("nodes", "Nodes", Quantity.COUNT),
    Column("usd_per_hour", "Cost per hour", Quantity.USD),
    Column("usd_per_month", "Cost per month", Quantity.USD),
    Column("usd_per_year", "Cost per year", Quantity.USD),
    Column("usd_per_million_tokens", "Per million tokens", Quantity.USD),
    Column("usd_per_million_output_tokens", "Per million output tokens", Quantity.USD),
    Column("weights_bytes", "Weights per GPU", Quantity.BYTES),
    Column("memory_used_bytes", "Memory used per GPU", Quantity.BYTES),
    Column("kv_pool_bytes", "KV pool per GPU", Quantity.BYTES),
    Column("kv_free_bytes", "KV free per GPU", Quantity.BYTES),
    Column("concurrency", "In flight per replica", Quantity.COUNT),
    *(
        Column(f"{name}{suffix}", f"{title}{tail}", Quantity.SECONDS)
        for name, title in zip(
            _LATENCIES, ("TTFT p50", "TTFT p99", "TPOT p50", "TPOT p99"), strict=True
        )
        for suffix, tail in (("", ""), ("_low", " interval"), ("_high", " to"))
    ),
    Column("collectives_s", "Collectives per step", Quantity.SECONDS),
    Column("collectives_share", "Lost to collectives", Quantity.SHARE),
    Column("served_qps", "Served", Quantity.QPS),
    Column("headroom_qps", "Headroom", Quantity.QPS),
    Column("spare_after_failure_qps", "Spare with one failed", Quantity.QPS),
    Column("evidence", "Evidence"),
)


def comparison_document(comparison: Comparison) -> Document:
    """The comparison; few options are side by side, many are rows."""
    rows = comparison_table(comparison)
    few = len(comparison.options) <= _SIDE_BY_SIDE
    blocks: list[Block] = [_transposed(rows, comparison) if few else rows]
    costs = {o.label: o.totals.usd_per_hour for o in comparison.ranked if o.totals}
    if costs:
        blocks.append(money_charts.costs("Cost by option, USD per hour", costs, next(iter(costs))))
    return Document(
        title=f"Comparison: {comparison.scenario.name}",
        headline=verdict(comparison),
        sections=(Section("options", "Options side by side", tuple(blocks)),),
        data=(rows,),
    )


def verdict(comparison: Comparison) -> str:
    """The winner and why, in one sentence."""
    best, second = comparison.winner, comparison.runner_up
    if best is None or best.totals is None:
        return "No option is feasible: " + "; ".join(
            f"{o.label}: {o.why_not}" for o in comparison.options
        )
    cost = rounding.usd_per_hour(best.totals.usd_per_hour)
    if second is None or second.totals is None:
        return f"{best.label} wins at {cost}: it is the only feasible option."
    saving = second.totals.usd_per_hour - best.totals.usd_per_hour
    if (
        best.served_qps is not None
        and second.served_qps is not None
        and best.served_qps > second.served_qps
    ):
        served = [rounding.qps(qps) for qps in (best.served_qps, second.served_qps)]
        other = f"{second.label} serves {served[1]} at {rounding.usd_per_hour(second.totals.usd_per_hour)}"
        return f"{best.label} wins: it serves {served[0]} at {cost}, {other}."
    if saving <= 1e-9:
        return f"{best.label} wins at {cost}: {second.label} costs the same, {_tie(best, second)}."
    return (
        f"{best.label} wins at {cost}: {rounding.usd_per_hour(saving)} "
        f"({rounding.share(saving / second.totals.usd_per_hour)}) less than {second.label}, "
        f"{_why(best, second)}."
    )


def _why(best: Option, second: Option) -> str:
    """The plainest reason the winner is cheaper: fewer GPUs, or cheaper ones."""
    a, b = best.totals, second.totals
    assert a is not None
    assert b is not None
    if a.gpus_rented >= b.gpus_rented:
        each = [rounding.usd_per_hour(t.usd_per_hour / t.gpus_rented) for t in (a, b)]
        return f"since a GPU costs {each[0]} instead of {each[1]}"
    fewer = f"with {counted(a.gpus_rented, 'GPU')} instead of {b.gpus_rented}"
    if not len(best.groups) == len(second.groups) == 1:
        return fewer
    x, y = best.groups[0], second.groups[0]
    if _qps_per_gpu(x) <= _qps_per_gpu(y):
        return fewer
    return (
        f"{fewer} because each {x.gpu} serves up to {rounding.qps(_qps_per_gpu(x))} against "
        f"{rounding.qps(_qps_per_gpu(y))}{'' if x.gpu == y.gpu else f' of {y.gpu}'}"
        f"{_collectives(x, y)}"
    )


def _collectives(x: ReplicaGroup, y: ReplicaGroup) -> str:
    """What the winner saves in collectives, where it does."""
    lost = [g.step.collectives_s / g.step.total_s if g.step else None for g in (x, y)]
    if lost[0] is None or lost[1] is None or lost[0] >= lost[1]:
        return ""
    return (
        f", losing {rounding.share(lost[0])} of a step to collectives against "
        f"{rounding.share(lost[1])}"
    )


def _tie(best: Option, second: Option) -> str:
    a, b = best.totals, second.totals
    assert a is not None
    assert b is not None
    if a.gpus_rented < b.gpus_rented:
        return f"but needs {b.gpus_rented} GPUs instead of {a.gpus_rented}"
    return "but its TPOT p99 is no better"


def _qps_per_gpu(group: ReplicaGroup) -> float:
    return group.capacity_qps * group.replicas / group.gpus


def comparison_table(comparison: Comparison) -> Table:
    """One row per option with every figure exact."""
    columns = (
        *(Column(axis, axis.replace("_", " ").capitalize()) for axis in comparison.axes),
        Column("status", "Status"),
        Column("simulated", "Simulated"),
        *_COLUMNS,
        Column("why_not", "Why not"),
    )
    rows = tuple(
        (
            *(option.choice[axis] for axis in comparison.axes),
            option.plan.status if option.plan is not None else "refused",
            "" if option.plan is None else simulated(option.plan),
            *_figures(option),
            option.why_not,
        )
        for option in comparison.options
    )
    return Table("options", "Options", columns, rows)


def _transposed(rows: Table, comparison: Comparison) -> Table:
    """Options as columns; a latency and the interval around it share two lines."""
    winner = comparison.winner
    columns = (
        Column("what", "What"),
        *(
            Column(o.label, f"{o.label} (wins)" if o is winner else o.label, Quantity.NUMBER)
            for o in comparison.options
        ),
    )
    cells = list(rows.cells())
    lines: list[tuple[Value | Cell, ...]] = []
    for i, column in enumerate(rows.columns):
        entries = [row[i] for row in cells]
        known = any(entry.value not in (None, "") for entry in entries)
        if column.key in comparison.axes or column.key.endswith("_high") or not known:
            continue
        if column.key.endswith("_low"):
            entries = [
                Cell(rounding.interval(_number(row[i]), _number(row[i + 1])), Quantity.TEXT)
                for row in cells
            ]
        lines.append((column.title, *entries))
    return Table("side_by_side", "Under each restriction", columns, tuple(lines))


def _number(cell: Cell) -> float | None:
    return cell.value if isinstance(cell.value, (int, float)) else None


def _figures(option: Option) -> tuple[Value, ...]:
    totals, plan = option.totals, option.plan
    if totals is None or plan is None:
        return (None,) * len(_COLUMNS)
    groups = option.groups
    tightest = max(groups, key=lambda g: g.kv_used_share, default=None)
    memory = tightest.memory if tightest else {}
    pool = memory.get("kv_pool_bytes")
    return (
        "; ".join(f"{g.replicas} x {g.name}" for g in groups),
        totals.gpus,
        totals.gpus_rented,
        totals.nodes,
        totals.usd_per_hour,
        totals.usd_per_month,
        totals.usd_per_year,
        totals.usd_per_million_tokens,
        totals.usd_per_million_output_tokens,
        memory.get("weights_bytes"),
        _used(memory),
        pool,
        pool * (1 - tightest.kv_used_share) if pool is not None and tightest else None,
        max((g.concurrency for g in groups), default=None),
        *(value for name in _LATENCIES for value in _worst(groups, name)),
        max((g.step.collectives_s for g in groups if g.step), default=None),
        max((g.step.collectives_s / g.step.total_s for g in groups if g.step), default=None),
        option.served_qps,
        min((headroom_qps(s) for s in plan.services), default=None),
        _spare_after_failure_qps(plan),
        "; ".join(dict.fromkeys(g.evidence for g in groups)),
    )


def _used(memory: dict[str, float]) -> float | None:
    total, outside = memory.get("total_bytes"), memory.get("outside_budget_bytes")
    return total - outside if total is not None and outside is not None else None


def _worst(
    groups: tuple[ReplicaGroup, ...], name: str
) -> tuple[float | None, float | None, float | None]:
    """The highest prediction among the groups, with its interval."""
    known = [g.predicted for g in groups if getattr(g.predicted, name) is not None]
    if not known:
        return None, None, None
    worst = max(known, key=lambda p: getattr(p, name))
    return (getattr(worst, name), *worst.intervals.get(name, (None, None)))


def _spare_after_failure_qps(plan: Plan) -> float | None:
    """Capacity left over demand once the largest replica of the tightest service is lost [req/s]."""
    spare = [
        held_qps(s) - max(g.capacity_qps for g in s.replica_groups) - busiest_qps(s)
        for s in plan.services
        if s.replica_groups
    ]
    return min(spare, default=None)
