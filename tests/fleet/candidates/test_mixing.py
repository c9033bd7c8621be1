"""What runs already is used, in a mix where it does not suffice alone."""

from __future__ import annotations

from typing import Any

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.fleet.candidates.mixing import most_kinds
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

OWN = [
    {"gpu": "l40s", "nodes": 2, "gpus_per_node": 8},
    {"gpu": "a100-sxm-80gb", "nodes": 1, "gpus_per_node": 8},
]
QWEN_32B: dict[str, Any] = {
    "model": "Qwen/Qwen3-32B",
    "rate": 30,
    "prompt_tokens": 1500,
    "output_tokens": 400,
    "slo": {"ttft_p95": "1s", "tpot_p95": "60ms"},
    "assurance": "none",
}


def solved(catalog: Catalog, **more: object) -> Plan:
    return solve(Scenario.model_validate({**QWEN_32B, **more}), catalogs=catalog, verify="none")


def test_gpus_that_run_already_are_used_in_a_mix(catalog: Catalog) -> None:
    plan, alone = solved(catalog, existing=OWN), solved(catalog)
    assert plan.totals is not None
    assert alone.totals is not None
    assert plan.totals.usd_per_hour < 0.7 * alone.totals.usd_per_hour
    groups = plan.services[0].replica_groups
    assert {"l40s", "a100-sxm-80gb"} < {g.gpu for g in groups}
    pinned = solved(catalog, existing=OWN, max_deployments=3)
    assert pinned.totals == plan.totals


def test_nodes_at_no_cost_are_compared_without_dividing_by_it(catalog: Catalog) -> None:
    plan = solved(catalog, rate=1, existing=[{"gpu": "h100", "nodes": 1}])
    assert plan.totals is not None
    assert plan.totals.usd_per_hour == 0
    assert plan.alternatives
    assert all("no cost per hour" in a.reason for a in plan.alternatives)


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({}, 1),
        ({"existing": OWN}, 3),
        ({"existing": OWN, "max_deployments": 2}, 2),
        ({"limits": {"stock": {"h100": 4}}, "search": {"gpus": ["h100-sxm-80gb"]}}, 1),
        ({"limits": {"stock": {"h100": 4}}, "search": {"gpus": ["h100-sxm-80gb", "l4"]}}, 2),
        ({"existing": OWN, "search": {"gpus": ["l4"]}}, 1),
    ],
)
def test_how_many_kinds_of_replica_a_service_may_mix(
    catalog: Catalog, more: dict[str, Any], kinds: int
) -> None:
    scenario = Scenario.model_validate({**QWEN_32B, **more})
    found = most_kinds(scenario, scenario.services[0], lambda name: catalog.gpu(name).name)
    assert found == kinds
