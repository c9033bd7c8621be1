"""A candidate or rejection as a row of plain numbers (``planner.fleet.candidates.outcomes``), and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.deployment import replica_key
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import Candidate, Context, Parts, Rejection
from planner.fleet.candidates.known import SpannedLayout
from planner.fleet.candidates.outcomes import Later
from planner.fleet.candidates.replica import on_part
from planner.fleet.rejection_reason import RejectionReason
from planner.kept_rows import Row
from planner.scenario.slo import TargetKey
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form.capacity import Capacity
from planner.sizing.memory import memory_layout

Tried = Candidate | Rejection


def row_of(tried: Tried) -> Row:
    """Plain values of what came of a deployment; its label and layout follow from the deployment."""
    if isinstance(tried, Rejection):
        miss = None if tried.miss is None else float(tried.miss)
        return [tried.reason, tried.detail, miss, tried.is_floor]
    c = tried.capacity
    numbers = (c.qps, c.concurrency, c.kv_used_share, c.utilisation, c.tpot_mean_s)
    return [
        [float(n) for n in numbers],
        c.limited_by,
        tried.evidence.value,
        list(tried.notes),
        {key: float(qps) for key, qps in tried.bucket_qps.items()},
        list(tried.group_sizes),
    ]


def recalled(
    row: Row,
    layout: SpannedLayout,
    context: Context,
    again: Callable[[], Tried],
) -> Tried | None:
    """What a row says of a layout; None for no such row.

    ``again``: sizes the layout, for the latencies that a row does not hold.
    """
    try:
        if len(row) == 4:
            reason, detail, miss, is_floor = row
            known = RejectionReason(str(reason))
            return Rejection(known, layout.label, str(detail), _number(miss), bool(is_floor))
        return _candidate(row, layout, context, again)
    except (TypeError, ValueError):
        return None


def _candidate(
    row: list[Any],
    layout: SpannedLayout,
    context: Context,
    again: Callable[[], Tried],
) -> Candidate:
    numbers, limited_by, evidence, notes, bucket_qps, group_sizes = row
    qps, concurrency, kv_used_share, utilisation, tpot_mean_s = map(float, numbers)

    deployment = on_part(layout.whole, layout.cut, context.catalog)

    def latency_s() -> dict[str, float]:
        sized = again()
        assert isinstance(sized, Candidate)
        return dict(sized.capacity.latency_s)

    return Candidate(
        key=replica_key(context.service.name, layout.label),
        service=context.service.name,
        deployment=deployment,
        capacity=Capacity(
            qps=qps,
            concurrency=concurrency,
            kv_used_share=kv_used_share,
            utilisation=utilisation,
            latency_s=Later(latency_s),
            limited_by=_limit(str(limited_by)),
            tpot_mean_s=tpot_mean_s,
        ),
        parts=Parts(
            lambda: memory_layout(deployment),
            lambda: context.known.steps(deployment, context.calibration),
        ),
        evidence=Evidence(evidence),
        notes=tuple(map(str, notes)),
        bucket_qps={str(key): float(value) for key, value in bucket_qps.items()},
        gpu_share=layout.cut.share,
        profile=layout.cut.profile,
        group_sizes=tuple(map(int, group_sizes)),
    )


def _limit(text: str) -> LimitedBy:
    """A limit as a row spells it: one of the fixed ones, else a target's key."""
    return CapacityLimit(text) if text in set(CapacityLimit) else TargetKey(text)


def _number(value: object) -> float | None:
    if value is None or isinstance(value, float):
        return value
    raise ValueError(f"not a number: {value!r}")
