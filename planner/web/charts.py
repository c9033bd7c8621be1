"""What the page draws: latency against load, memory of a GPU, cash by month, as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from planner.findings.schema import Findings, LatencyCurve, Purchase
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.reporting.names import MEMORY_PARTS
from planner.web.problems import Json

ROUNDING = 1e-9
_BANDED = ("ttft_p99_s", "tpot_p99_s")


def charts_of(findings: Findings) -> Json:
    """Every chart of a plan."""
    return {
        "latency": [_latency(findings.plan, c) for c in findings.curves],
        "memory": [_memory(g) for g in findings.plan.groups],
        "cash": _cash(findings.purchases),
    }


def _latency(plan: Plan, curve: LatencyCurve) -> Json:
    """TTFT and TPOT p99 [s] over one replica's rate; the band is the model's interval at each of them."""
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
        "band": {} if group is None else _band(group, curve),
        "band_level": None if group is None else group.predicted.interval_level,
        "method": "" if group is None else group.predicted.method,
    }


def _band(group: ReplicaGroup, curve: LatencyCurve) -> Json:
    """Each percentile [s] at the rates of the curve with steps as quick and as slow as they may be.

    Steps that take ``f`` times as long are the same replica with time running slower: at a rate ``r`` it is
    ``f`` times as late as it would be at ``f r``. None where it is not known to keep up with that.
    """
    steps, ttft = group.predicted.step_factors, group.predicted.ttft_factors
    if steps is None or ttft is None:
        return {}
    points = (*curve.points, *curve.beyond)
    known = [p.rate_qps for p in points]
    rates = [p.rate_qps for p in curve.points]
    first, later = [p.ttft_p99_s for p in points], [p.tpot_p99_s for p in points]
    return {
        key: {
            side: [
                steps[i] * beyond[i] * float(np.interp(steps[i] * rate, known, values))
                if steps[i] * rate <= known[-1] * (1 + ROUNDING)
                else None
                for rate in rates
            ]
            for i, side in enumerate(("low", "high"))
        }
        for key, values, beyond in zip(_BANDED, (first, later), (ttft, (1.0, 1.0)), strict=True)
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
