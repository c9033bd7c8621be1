"""The rows beside the plan: its fleet as predicted, and the cheapest of all offers."""

import pytest

from planner.api import solve
from planner.assembly.losses import _nodes_for, _spare_on
from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.fleet.offers.admitted import offers_of
from planner.plan.schema import NodeCount
from planner.scenario.schema import Scenario
from planner.solving.options import SolveOptions

SCENARIO = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 120,
    "prompt_tokens": 700,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s", "tpot_p99": "60ms"},
    "search": {"gpus": ("l40s", "rtx-5090"), "tensor_parallel": (1,), "weights": ("bf16",),
               "kv_cache": ("bf16",), "pipeline_parallel": (1,)},
}  # fmt: skip
HEAD = (
    "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,confidence,tier\n"
)


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """L40S at a cloud, at a marketplace for half, and at a doubtful cloud for a little less."""
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    path.write_text(
        HEAD
        + "acme,eu,l40s-8,l40s,8,on-demand,8,2026-10-01,list,high,cloud\n"
        + "bazaar,any,l40s,l40s,1,on-demand,0.5,2026-05-01,list,medium,marketplace\n"
        + "hearsay,any,l40s-8,l40s,8,on-demand,7,2026-10-01,list,low,cloud\n"
    )
    return str(path)


def planned(prices, assurance=0.8, **more):
    requested = {**SCENARIO, "assurance": assurance, "prices": {"file": prices, **more}}
    return solve(Scenario.model_validate(requested), verify="none", rivals=1)


@pytest.fixture(scope="module")
def plan(prices):
    return planned(prices)


def test_more_assurance_never_takes_fewer_gpus_and_none_takes_the_fewest(prices, plan):
    gpus = [planned(prices, a).totals.gpus for a in ("none", 0.5)]
    gpus += [plan.totals.gpus, planned(prices, 0.95).totals.gpus]
    assert gpus == sorted(gpus)
    assert gpus[0] < gpus[-1]


def test_the_fleet_as_predicted_is_that_of_a_plan_without_a_margin(prices, plan):
    bare = planned(prices, "none")
    assert plan.as_predicted.cheapest_gpus == bare.totals.gpus_rented
    assert plan.as_predicted.cheapest_usd_per_hour == pytest.approx(bare.totals.usd_per_hour)
    assert plan.as_predicted.gpus == bare.totals.gpus_rented
    assert "l40s" in plan.as_predicted.settled_by
    assert bare.as_predicted is None
    assert bare.services[0].replica_groups[0].margin is None


def test_the_plan_takes_known_sellers_and_trusted_prices_and_names_the_cheapest_beside(plan):
    assert {n.provider for n in plan.nodes} == {"acme"}
    assert plan.cheapest.usd_per_hour < plan.totals.usd_per_hour
    (offer,) = plan.cheapest.offers
    (doubt,) = plan.cheapest.doubts
    assert offer.endswith("l40s at bazaar (any)")
    assert "marketplace tier" in doubt
    assert "quote needed" in doubt
    assert plan.exit_code == 0


def test_a_plan_that_may_take_every_offer_has_one_row(prices):
    tiers = ("hyperscaler", "cloud", "marketplace")
    plan = planned(prices, tiers=tiers, confidence="low")
    assert {n.provider for n in plan.nodes} == {"bazaar"}
    assert plan.cheapest is None


def test_the_least_confidence_admits_what_is_at_least_as_good(prices):
    catalog = load_catalog()
    for least, admitted in (("high", {"acme"}), ("medium", {"acme"}), ("low", {"acme", "hearsay"})):
        requested = {**SCENARIO, "prices": {"file": prices, "confidence": least}}
        offers = offers_of(Scenario.model_validate(requested), catalog)
        assert {o.provider for o in offers} == admitted


def test_the_loss_of_a_replica_and_the_price_of_a_spare_are_reported(plan):
    (loss,) = plan.losses
    (group,) = plan.services[0].replica_groups
    left = group.replicas - 1
    assert loss.load == pytest.approx(group.routed_qps / left / group.capacity_qps)
    idle = sum(n.idle_gpus for n in plan.nodes)
    assert loss.spare_usd_per_hour == (0 if idle else 8.0)


def test_prices_are_judged_from_a_day_that_the_plan_records():
    assert SolveOptions(as_of="2026-12-31").as_of == "2026-12-31"
    with pytest.raises(InputError, match="not a date"):
        SolveOptions(as_of="soon")


def test_the_acceptance_test_climbs_to_the_planned_rate_of_one_replica(plan):
    (test,) = plan.acceptance
    (group,) = plan.services[0].replica_groups
    assert [r.share for r in test.rungs] == [0.5, 0.8, 1.0]
    assert test.rungs[-1].rate_qps == pytest.approx(group.routed_qps / group.replicas)
    assert test.rungs[-1].limits_s["ttft_p99"] == 2.0
    means = [r.limits_s["tpot_mean"] for r in test.rungs]
    assert means == sorted(means)
    assert f"--request-rate {test.rungs[-1].rate_qps:.4g}" in test.rungs[-1].command


@pytest.mark.parametrize(("tensor_parallel", "spare"), [(1, 1.0), (4, 6.0), (8, None)])
def test_a_spare_takes_nodes_that_hold_its_tensor_parallel_group(tensor_parallel, spare):
    """Four nodes of one GPU are cheaper than one of four, and no place for TP4."""
    offers = tuple(
        Offer("acme", "eu", f"l40s-{n}", "l40s", n, Term("on-demand"), usd, "2026-10-01", "list")
        for n, usd in ((1, 1.0), (4, 6.0))
    )
    node = NodeCount(
        provider="acme",
        region="eu",
        instance_type="l40s-4",
        term="on-demand",
        gpu="l40s",
        gpus_per_node=4,
        count=3,
        usd_per_hour_each=6.0,
        usd_per_hour=18.0,
        idle_gpus=0,
        price_as_of="2026-10-01",
        price_source="list",
    )
    found = _spare_on("l40s", tensor_parallel, (tensor_parallel,), offers, (node,))
    assert found == spare
    assert _spare_on("l40s", 8, (4, 4), offers, (node,)) == 12.0  # two stages, on two of its nodes


@pytest.mark.parametrize(
    ("groups", "node_gpus", "nodes"),
    [((8,), 8, 1), ((8,), 4, 0), ((4, 4, 4), 8, 2), ((2, 6, 2, 6), 8, 2), ((1,), 8, 1)],
)
def test_groups_are_laid_out_on_nodes(groups, node_gpus, nodes):
    assert _nodes_for(groups, node_gpus) == nodes
