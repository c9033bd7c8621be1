import math

import pytest

from planner.api import solve
from planner.catalog.store import load_catalog
from planner.fleet.procurement import nodes_needed, procurement
from planner.plan import Plan
from planner.scenario import Scenario

SCENARIO = {
    "name": "assistant",
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "rate": 20,
    "prompt_tokens": 1000,
    "output_tokens": 400,
    "slo": {"ttft_p99": "2s", "tpot_p99": "60ms"},
    "search": {"gpus": ("h100-sxm-80gb",), "weights": ("fp8",), "tensor_parallel": (2, 4)},
    "allow_lower_precision": True,
}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def plan(catalog):
    return solve(Scenario.model_validate(SCENARIO), verify="none", catalogs=catalog)


def test_every_way_to_pay_stands_beside_the_plan(plan, catalog):
    told = procurement(plan, catalog)
    names = [row.name for row in told.rows]
    assert names == [
        "as planned (on-demand)", "1-year commitment", "3-year commitment", "owned servers", "API",
    ]  # fmt: skip
    planned = told.rows[0]
    assert planned.usd_per_hour == pytest.approx(plan.totals.usd_per_hour)
    assert planned.tokens.output == pytest.approx(plan.totals.usd_per_million_output_tokens)
    assert len(told.notes) == len(told.rows)
    assert all("confidence" in note for note in told.notes)
    assert told.missing == ()
    assert told.annual_rate == 0.08


def test_the_api_breaks_even_where_both_bills_are_equal(plan, catalog):
    told = procurement(plan, catalog)
    assert told.api_break_even_qps is not None
    bill = told.api_break_even_qps * told.api_usd_per_request * 3600
    assert bill == pytest.approx(plan.totals.usd_per_hour)
    (api,) = [row for row in told.rows if row.name == "API"]
    assert api.usd_per_hour == pytest.approx(told.api_usd_per_request * 20 * 3600)


def test_commitments_beyond_the_horizon_leave_a_liability(plan, catalog):
    year = {row.name: row for row in procurement(plan, catalog, months=12).rows}
    assert year["1-year commitment"].liability_usd == 0
    three = {way.name: way for way in procurement(plan, catalog, months=12).ways}
    assert three["3-year commitment"].liability_usd >= 0
    paid = math.fsum(f.usd for f in three["3-year commitment"].flows)
    whole = {w.name: w for w in procurement(plan, catalog, months=36).ways}["3-year commitment"]
    assert paid == pytest.approx(math.fsum(f.usd for f in whole.flows) / 3)


def test_growth_makes_the_api_dearer_and_leaves_the_fleet(plan, catalog):
    flat = {row.name: row for row in procurement(plan, catalog).rows}
    grown = {row.name: row for row in procurement(plan, catalog, growth_per_month=0.02).rows}
    assert grown["API"].present_value_usd > flat["API"].present_value_usd
    assert grown["owned servers"].present_value_usd == flat["owned servers"].present_value_usd


def test_what_has_no_price_is_told_and_left_out(plan, catalog):
    document = plan.model_dump(mode="json")
    document["services"][0]["model"] = "meta-llama/Meta-Llama-3-70B-Instruct"
    for group in document["services"][0]["replica_groups"]:
        group["gpu"] = "t4"
    told = procurement(Plan.model_validate(document), catalog)
    assert "API: no price listed for meta-llama/Meta-Llama-3-70B-Instruct" in told.missing
    assert any(reason.startswith("owned") for reason in told.missing)
    assert told.api_break_even_qps is None


def test_nodes_are_filled_group_by_group(plan):
    group = plan.services[0].replica_groups[0]
    threes = group.model_copy(update={"tensor_parallel": 3, "replicas": 5})
    assert nodes_needed([threes], threes.gpu, 8) == 3
    assert nodes_needed([threes], threes.gpu, 2) is None
    assert nodes_needed([threes], "another", 8) == 0
