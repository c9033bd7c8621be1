"""What the page draws: latency against load, memory of a GPU, cash by month, as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from planner.findings.schema import Findings, LatencyCurve, Purchase
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.reporting.names import MEMORY_PARTS
from planner.web.problems import Json

_BANDED = ("ttft_p99_s", "tpot_p99_s")


def charts_of(findings: Findings) -> Json:
    """Every chart of a plan."""
    return {
        "latency": [_latency(findings.plan, c) for c in findings.curves],
        "memory": [_memory(g) for s in findings.plan.services for g in s.replica_groups],
        "cash": _cash(findings.purchases),
    }


def _latency(plan: Plan, curve: LatencyCurve) -> Json:
    """TTFT and TPOT p99 [s] over one replica's rate; the band is the plan's own error interval.

    The interval at the operating point, as factors on the prediction, is taken over the whole curve:
    the model's error is common to all loads of a deployment.
    """
    service = next(s for s in plan.services if s.name == curve.service)
    group = next((g for g in service.replica_groups if g.name == curve.layout), None)
    return {
        "service": curve.service,
        "layout": curve.layout,
        "rates_qps": [p.rate_qps for p in curve.points],
        "ttft_p99_s": [p.ttft_p99_s for p in curve.points],
        "tpot_p99_s": [p.tpot_p99_s for p in curve.points],
        "operating_qps": curve.operating_qps,
        "capacity_qps": curve.capacity_qps,
        "targets_s": {k: v for k, v in service.targets.items() if f"{k}_s" in _BANDED},
        "band": {} if group is None else _band(group),
        "band_level": None if group is None else group.predicted.interval_level,
        "method": "" if group is None else group.predicted.method,
    }


def _band(group: ReplicaGroup) -> Json:
    """Low and high of the interval over the predicted value, for each percentile that has one."""
    predicted = group.predicted
    values = {"ttft_p99_s": predicted.ttft_p99_s, "tpot_p99_s": predicted.tpot_p99_s}
    return {
        key: [low / value, high / value]
        for key, value in values.items()
        if value and key in predicted.intervals
        for low, high in (predicted.intervals[key],)
    }


def _memory(group: ReplicaGroup) -> Json:
    """Parts of one GPU [bytes] in the order of the memory tables; they sum to ``total_bytes``."""
    return {
        "layout": group.name,
        "total_bytes": group.memory["total_bytes"],
        "parts": [
            {"key": key, "name": name, "bytes": group.memory.get(f"{key}_bytes", 0.0)}
            for key, name in MEMORY_PARTS.items()
        ],
    }


def _cash(purchases: Iterable[Purchase]) -> list[Json]:
    """What each way to pay has cost by the end of each month [USD]."""
    return [
        {"way": p.way, "planned": p.planned, "paid_usd": list(accumulate(p.cash_flow_usd))}
        for p in purchases
        if p.cash_flow_usd
    ]
