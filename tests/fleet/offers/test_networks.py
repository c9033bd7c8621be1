"""Replicas wider than a node count on what their nodes' provider states of the network between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.offer_rows import read_offers
from planner.catalog.store import Catalog, load_catalog
from planner.deployment import Deployment
from planner.fleet.offers.networks import OfferedNetworks, between_nodes_gb_s, offered_gb_s
from planner.performance.factors import load_calibration
from planner.plan.schema import Plan
from planner.scenario.changes import read_change
from planner.scenario.reader import read_scenario
from planner.session import Session
from planner.solving.options import SolveOptions
from planner.verification.check import Check, Verdict
from planner.verification.verify import verify

CATALOG = load_catalog()
H100 = CATALOG.gpu("h100-sxm-80gb")
UNSIMULATED = SolveOptions(verify="none", rivals=0)


def listed(instance_type: str) -> Offer:
    return next(o for o in CATALOG.offers() if o.instance_type == instance_type)


def deployment(tensor: int, pipeline: int) -> Deployment:
    return Deployment(
        model=CATALOG.model("deepseek-ai/DeepSeek-V3"),
        gpu=H100,
        engine=CATALOG.engine("vllm"),
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        weights=CATALOG.weight_format("fp8_block"),
        kv_cache=CATALOG.kv_format("bf16"),
    )


def solved(scenario: str, *changes: str) -> Plan:
    session = Session.open(options=UNSIMULATED)
    return session.solve(
        read_scenario(scenario, session.catalog, [read_change(c) for c in changes])
    )


def checked(plan: Plan) -> tuple[Check, ...]:
    return verify(plan, CATALOG, load_calibration(CATALOG), CATALOG.offers())


def test_published_rates_of_a_gpu() -> None:
    """350 Gb/s for eight GPUs is 5.47 GB/s a GPU; 8 x 400 Gb/s is the usual 50."""
    slow, fast = listed("n3-H100-SXM5x8"), listed("p5.48xlarge")
    assert slow.network_gb_s == pytest.approx(350 / 8 / 8)
    assert offered_gb_s(slow, H100) == pytest.approx(5.47, abs=0.01)
    assert fast.network_gb_s == H100.nic_gb_s == 50
    assert offered_gb_s(fast, H100) is None
    assert offered_gb_s(replace(fast, network_gbps=6400.0), H100) is None


def test_what_nobody_states_is_the_usual_and_hosts_apart_have_none() -> None:
    unstated = replace(listed("p5.48xlarge"), network_gbps=None)
    assert between_nodes_gb_s(unstated, H100) == 50
    assert between_nodes_gb_s(replace(unstated, tier="marketplace"), H100) == 0
    assert between_nodes_gb_s(replace(unstated, gpu_count=1), H100) == 0
    alone = replace(unstated, gpu_count=1, network_gbps=100.0)
    assert between_nodes_gb_s(alone, H100) == 12.5


def test_every_pattern_matches_an_offer_and_every_offer_one_rate() -> None:
    """No row of the table is idle, and none gives a GPU more than twice what is usual of its type."""
    for row in CATALOG.networks():
        offers = [o for o in CATALOG.offers() if o.provider == row.provider]
        stated = {o.instance_type for o in offers if o.network_gbps == row.gbps}
        assert stated, row
    for offer in CATALOG.offers():
        if offer.network_gb_s is not None:
            assert offer.network_gb_s <= 2 * CATALOG.gpu(offer.gpu).nic_gb_s, offer.key


def test_only_what_spans_nodes_is_tried_at_every_rate() -> None:
    offers = [listed("p5.48xlarge"), listed("a3-megagpu-8g"), listed("n3-H100-SXM5x8")]
    networks = OfferedNetworks.of(offers, CATALOG)
    assert networks.rates == {"h100-sxm-80gb": (None, 25.0, 5.46875)}
    assert [d.label for d in networks.over(deployment(8, 1))] == [deployment(8, 1).label]
    wide = list(networks.over(deployment(8, 2)))
    assert [d.gpu.network_gb_s for d in wide] == [50.0, 25.0, 5.46875]
    assert [d.label.endswith(" GB/s") for d in wide] == [False, True, True]


def test_experts_over_a_slow_network_are_not_planned_as_if_it_were_fast() -> None:
    """Two nodes at 350 Gb/s cost less, and hold less: the published rate decides, not the GPU's usual."""
    plan = solved("deepseek_v3_wide_ep")
    (group,) = plan.services[0].replica_groups
    assert {n.provider for n in plan.nodes} != {"hyperstack"}
    assert group.network_gb_s is None
    slow = solved("deepseek_v3_wide_ep", "prices.providers=[hyperstack]")
    if slow.services:
        assert slow.totals is not None
        assert plan.totals is not None
        assert slow.totals.usd_per_hour >= plan.totals.usd_per_hour


def test_a_pipeline_says_over_which_network_it_was_sized() -> None:
    plan = solved("deepseek_v3_16xh100_fp8")
    (group,) = plan.services[0].replica_groups
    assert {n.provider for n in plan.nodes} == {"hyperstack"}
    assert group.network_gb_s == pytest.approx(5.47, abs=0.01)
    assert group.name.endswith("over 5.47 GB/s")
    assert any("sized for the 350 Gb/s stated for a node of n3-H100" in w for w in plan.warnings)


def test_a_plan_that_claims_a_faster_network_than_its_nodes_have_fails() -> None:
    plan = solved("deepseek_v3_16xh100_fp8")
    assert all(c.verdict is not Verdict.FAILS for c in checked(plan))
    (service,) = plan.services
    (group,) = service.replica_groups
    claimed = service.model_copy(
        update={"replica_groups": (group.model_copy(update={"network_gb_s": None}),)}
    )
    found = checked(plan.model_copy(update={"services": (claimed,)}))
    assert any(c.verdict is Verdict.FAILS for c in found)


def test_own_nodes_have_the_network_that_is_given() -> None:
    usual = "existing=[{gpu: h100-sxm-80gb, nodes: 2}]"
    slow = "existing=[{gpu: h100-sxm-80gb, nodes: 2, network_gbps: 100}]"
    fast_plan = solved("deepseek_v3_16xh100_fp8", usual)
    slow_plan = solved("deepseek_v3_16xh100_fp8", slow)
    (fast_group,), (slow_group,) = (p.services[0].replica_groups for p in (fast_plan, slow_plan))
    assert fast_group.network_gb_s is None
    assert slow_group.network_gb_s == pytest.approx(100 / 64)
    assert any("No network is stated for 8x h100" in w for w in fast_plan.warnings)
    assert (slow_group.predicted.ttft_p99_s or 0) > (fast_group.predicted.ttft_p99_s or 0)


def test_what_would_be_relaxed_costs_what_it_costs_when_asked() -> None:
    """The conflict search sees slower networks too: two nodes at 350 Gb/s hold FP8 in two stages."""
    session = Session.open(options=UNSIMULATED)
    plan = session.solve(read_scenario("deepseek_v3_16xh100_bf16", session.catalog))
    assert plan.infeasibility is not None
    (relaxed,) = (r for r in plan.infeasibility.relaxations if r.requirement == "search.weights")
    formats = relaxed.relaxed.replace(" ", "")
    again = solved("deepseek_v3_16xh100_bf16", f"search.weights=[{formats}]")
    assert again.totals is not None
    assert again.totals.usd_per_hour == pytest.approx(relaxed.usd_per_hour)
    assert len([r for r in plan.rejections if r.count > 2]) == 0


def test_a_price_file_states_a_network(tmp_path: Path, catalog: Catalog) -> None:
    file = tmp_path / "prices.csv"
    columns = (
        "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,network_gbps"
    )
    file.write_text(f"{columns}\nmine,here,box,h100-sxm-80gb,8,on-demand,20,2026-11-01,quote,200\n")
    (raw,) = read_offers(file)
    assert raw.term is Term.ON_DEMAND
    (offer,) = catalog.read_prices(file)
    assert offer.network_gb_s == pytest.approx(200 / 64)
