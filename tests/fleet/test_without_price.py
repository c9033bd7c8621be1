"""A GPU that no offer has, and terms that are not there in time, are named as such."""

from __future__ import annotations

from typing import Any

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.fleet.infeasibility.relaxation import _further_and_further, _middle
from planner.fleet.rejection_reason import RejectionReason
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

CHAT: dict[str, Any] = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 2,
    "prompt_tokens": 500,
    "output_tokens": 100,
    "slo": {"ttft_p99": "2s", "tpot_p99": "100ms"},
}


def planned(catalog: Catalog, gpus: list[str], explain: bool = False, **more: object) -> Plan:
    search = {"gpus": gpus, "weights": ["bf16"], "kv_cache": ["bf16"], "tensor_parallel": [1]}
    scenario = Scenario.model_validate({**CHAT, "search": search, **more})
    return solve(scenario, catalogs=catalog, verify="none", rivals=0, explain=explain)


def summary(plan: Plan) -> str:
    assert plan.infeasibility is not None
    return plan.infeasibility.summary


@pytest.mark.parametrize("gpu", ["gb10", "rtx-5070-ti"])
def test_a_gpu_without_an_offer_is_missing_data_and_not_infeasible(
    catalog: Catalog, gpu: str
) -> None:
    name = catalog.gpu(gpu).name
    with pytest.raises(InputError, match=f"no offer for {name} in the price list") as error:
        planned(catalog, [gpu])
    assert "prices.file" in (error.value.action or "")
    assert "existing" in (error.value.action or "")


def test_a_gpu_with_offers_that_are_not_admitted_is_said_to_have_those(catalog: Catalog) -> None:
    plan = planned(catalog, ["mi300x"], prices={"providers": ["aws"]})
    text = (
        "No offer that prices admits has mi300x, whose offers are on-demand, spot (tiers cloud, "
        "hyperscaler, marketplace): widen its terms, tiers, confidence, providers or regions."
    )
    assert text in summary(plan)


def test_a_gpu_without_a_price_beside_others_is_a_warning(catalog: Catalog) -> None:
    plan = planned(catalog, ["gb10", "l4"])
    assert plan.status == "optimal"
    assert any("no price is known for gb10" in w.lower() for w in plan.warnings)


def test_existing_nodes_need_no_price(catalog: Catalog) -> None:
    plan = planned(catalog, ["gb10"], existing=[{"gpu": "gb10", "nodes": 9, "gpus_per_node": 1}])
    assert RejectionReason.NO_PRICE not in {r.reason for r in plan.rejections}


def test_a_lead_time_beyond_the_horizon_is_named(catalog: Catalog) -> None:
    plan = planned(
        catalog,
        ["h100"],
        explain=True,
        prices={"terms": ["1-year"]},
        horizon={"months": 12, "lead_time_months": {"1-year": 14}},
    )
    assert "horizon.lead_time_months.1-year: 14 months" in summary(plan)
    assert "prices.terms: 1-year" in summary(plan)


def test_a_share_of_spot_that_nothing_else_can_fill_is_named(catalog: Catalog) -> None:
    spot = {"prices": {"terms": ["spot"]}, "spot": {"max_share": 0.5}}
    plan = planned(catalog, ["h100"], explain=True, **spot)
    assert "spot.max_share: 50 %" in summary(plan)
    assert plan.infeasibility is not None
    ways = {r.requirement: r.relaxed for r in plan.infeasibility.relaxations}
    assert ways["prices.terms"] == "spot, on-demand"


def test_what_may_be_relaxed_down_to_nothing_is_tried_a_few_times_alone() -> None:
    assert len(list(_further_and_further(0.5, 0.0))) < 10
    steps, strict = 0, 0.5
    while (middle := _middle(strict, 0.0, whole=False)) is not None:
        steps, strict = steps + 1, middle
    assert steps < 25
