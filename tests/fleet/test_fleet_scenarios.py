"""The shipped fleet scenarios, from file to re-checked plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.api import solve
from planner.catalog.store import Catalog
from planner.plan.periods import Period
from planner.plan.schema import Plan

BUCKETS = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 30,
    "assurance": None,
    "prompt_tokens": {"mean": 2000, "cv": 1.5},
    "output_tokens": 250,
    "slo": {"ttft_p99": "3s", "tpot_p99": "80ms"},
    "search": {"gpus": ["l4", "l40s"], "weights": ["bf16"], "tensor_parallel": [1]},
    "buckets": {"prompt_tokens": [1000, 4000]},
    "max_deployments": 2,
    "allow_lower_precision": True,
}
SHARES = {
    "services": [
        {
            "name": name,
            "model": "meta-llama/Llama-3.2-1B",
            "rate": 0.5,
            "prompt_tokens": 300,
            "output_tokens": 100,
            "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
        }
        for name in ("one", "two")
    ],
    "search": {"gpus": ["l40s"], "weights": ["bf16"], "kv_cache": ["bf16"]},
    "sharing": {"gpu": [0.5]},
}


def written(requested: dict[str, Any], folder: Path, catalog: Catalog) -> Plan:
    path = folder / "question.yaml"
    path.write_text(yaml.safe_dump(requested))
    return solve(path, catalogs=catalog, verify="none")


def nodes(period: Period) -> int:
    return sum(period.nodes.values())


def test_services_share_gpus_over_a_day(shipped_plan: Callable[[str], Plan]) -> None:
    plan = shipped_plan("fleet_day_and_night")
    assert plan.status == "optimal"
    hours = plan.periods
    assert len(hours) == 24
    peaks = sum(g.gpus for s in plan.services for g in s.replica_groups)
    assert plan.totals is not None
    assert peaks > plan.totals.gpus_rented
    assert {n.term for n in plan.nodes} >= {"on-demand", "1-year"}
    assert all(n.hours_share == 1 for n in plan.nodes if n.term == "1-year")
    for s in plan.services:
        assert s.served_qps == pytest.approx(s.rate_qps)
        assert s.busiest_qps is not None
        assert s.busiest_qps > s.served_qps


def test_a_fleet_grows_stage_by_stage_on_top_of_what_runs(
    shipped_plan: Callable[[str], Plan],
) -> None:
    plan = shipped_plan("fleet_growth")
    assert plan.status == "optimal"
    stages = plan.periods
    assert [s.period for s in stages] == ["month 1", "month 7", "month 13", "month 19"]
    counts = [nodes(s) for s in stages]
    assert counts == sorted(counts)
    assert all(any("existing" in o for o in s.nodes) for s in stages)
    assert not any("3-year" in o for o in stages[0].nodes)
    (group,) = plan.services[0].replica_groups
    last = stages[-1].busiest_qps[plan.services[0].name]
    assert group.capacity_qps * (group.replicas - 1) >= last * (1 - 1e-9)  # one may be lost


def test_short_stock_serves_the_first_and_reports_the_rest(
    shipped_plan: Callable[[str], Plan],
) -> None:
    plan = shipped_plan("fleet_short_stock")
    assert plan.status == "optimal"
    chat, batch = plan.services
    assert chat.served_qps == pytest.approx(chat.rate_qps)
    assert 0 < batch.served_qps < batch.rate_qps
    assert sum(n.count * n.gpus_per_node for n in plan.nodes) == 12


def test_buckets_may_be_served_by_different_gpus(tmp_path: Path, catalog: Catalog) -> None:
    plan = written(BUCKETS, tmp_path, catalog)
    assert plan.status == "optimal"
    (service,) = plan.services
    assert sum(g.routed_qps for g in service.replica_groups) == pytest.approx(30)


def test_two_small_services_share_a_gpu(tmp_path: Path, catalog: Catalog) -> None:
    plan = written(SHARES, tmp_path, catalog)
    assert plan.status == "optimal"
    assert [g.gpu_share for s in plan.services for g in s.replica_groups] == [0.5, 0.5]
    assert sum(n.count * n.gpus_per_node for n in plan.nodes) == 1
