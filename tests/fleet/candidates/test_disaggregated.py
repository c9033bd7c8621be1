"""Units of two pools as candidates: their links, places, ratios, and what rules them out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog, load_catalog
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.node_groups import node_groups
from planner.fleet.candidates.pool_link import kv_link
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import load_calibration
from planner.scenario.schema import Scenario, Service
from planner.scenario.search.disaggregation import Disaggregation
from planner.scenario.slo import Slo
from planner.solving.build_problem import decide, problem_of
from planner.solving.options import SolveOptions

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
OFFERS = (Offer("p", "r", "8xh100", "h100-sxm-80gb", 8, Term.ON_DEMAND, 1.0, "2026-01-01", "list"),)
LLAMA_70B, DEEPSEEK = "meta-llama/Llama-3.1-70B-Instruct", "deepseek-ai/DeepSeek-V3"
NODES = (Offer("p", "r", "8xh200", "h200-sxm-141gb", 8, Term.ON_DEMAND, 8.0, "2026-01-01", "list"),)


def service(model: str = LLAMA_70B, **more: object) -> Service:
    given = {
        "name": "chat",
        "model": model,
        "rate": 5.0,
        "prompt_tokens": 1000,
        "output_tokens": 300,
        "slo": {"ttft_p99": "2s", "tpot_p99": "100ms"},
        "allow_lower_precision": True,
        **more,
    }
    return Service.model_validate(given)


def requested(**pools: object):
    search = {
        "gpus": ["h100-sxm-80gb"],
        "tensor_parallel": [2, 4],
        "weights": ["fp8"],
        "kv_cache": ["bf16"],
        "disaggregation": {"ratios": ["1P1D", "2P1D"], **pools},
    }
    return service(LLAMA_70B, prompt_tokens=3000, search=search)


def tried(wanted, offers=OFFERS, catalog: Catalog = CATALOG) -> CandidateSet:
    return enumerate_candidates(wanted, catalog, offers, CALIBRATION)


def units(found: CandidateSet):
    return [c for c in found.candidates if c.prefill]


def reasons(found: CandidateSet, reason: str) -> list[str]:
    return [f"{r.label}: {r.detail}" for r in found.rejections if r.reason == reason]


def test_units_stand_beside_replicas_that_do_both():
    found = tried(requested())
    assert units(found)
    assert any(c.prefill is None for c in found.candidates)
    alone = tried(requested(colocated=False))
    assert [c.key for c in alone.candidates] == [c.key for c in units(found)]


def test_a_unit_in_a_node_is_one_group_and_in_a_zone_as_many_as_it_has_replicas():
    by_label = {c.label: c for c in units(tried(requested()))}
    node = by_label["4x h100-sxm-80gb vllm 1P (TP2) + 1D (TP2) in a node fp8/bf16"]
    zone = by_label["4x h100-sxm-80gb vllm 1P (TP2) + 1D (TP2) in a zone fp8/bf16"]
    assert (node.gpus, node.group_sizes) == (4, (4,))
    assert (zone.gpus, zone.group_sizes) == (4, (2, 2))
    assert node.prefill.link.kind == "switch"
    assert zone.prefill.link.kind == "network"
    assert node.capacity.qps >= zone.capacity.qps


def test_a_unit_larger_than_a_node_is_in_a_zone_alone():
    found = tried(
        requested(ratios=["4P1D"], decode_tensor_parallel=[4], prefill_tensor_parallel=[2])
    )
    assert {c.prefill.within for c in units(found)} == {"zone"}
    assert any(
        "12 GPUs in one node" in text for text in reasons(found, RejectionReason.NOT_OFFERED)
    )


def test_a_prefill_pool_need_only_hold_prompts():
    search = requested(colocated=False).search.model_copy(update={"tensor_parallel": (1,)})
    found = tried(service(prompt_tokens=3000, output_tokens=6000, search=search))
    longest = reasons(found, RejectionReason.NO_LONGEST)
    assert any("as decode pool" in text for text in longest)
    assert not any("as prefill pool" in text for text in longest)


def test_vllm_does_not_hand_over_to_narrower_replicas():
    found = tried(
        requested(prefill_tensor_parallel=[4], decode_tensor_parallel=[2], colocated=False)
    )
    assert not units(found)
    assert any("tensor parallelism" in text for text in reasons(found, RejectionReason.UNSUPPORTED))
    search = requested(prefill_tensor_parallel=[4], decode_tensor_parallel=[2]).search
    sglang = requested().model_copy(
        update={"search": search.model_copy(update={"engines": ("sglang",)})}
    )
    assert units(tried(sglang))


def test_a_ratio_that_only_idles_a_pool_is_ruled_out():
    wanted = requested(ratios=["1P1D", "1P2D", "1P4D"], within="zone", colocated=False)
    loose = Slo.model_validate({"tpot_p99": "500ms"})
    found = tried(wanted.model_copy(update={"slo": loose}))
    assert any("1P1D has a capacity of" in text for text in reasons(found, RejectionReason.NO_GAIN))


def test_a_target_no_idle_unit_meets_names_it():
    tight = requested(kv_link={"gb_s": 0.05}, colocated=False)
    found = tried(tight)
    assert not units(found)
    assert any(
        "an idle unit misses ttft_p99" in text for text in reasons(found, RejectionReason.TOO_SLOW)
    )


def joined(deployment, place, text):
    return kv_link(deployment, deployment, 4, place, CATALOG.root, text)


def test_the_link_is_the_catalogs_unless_the_scenario_states_one():
    deployment = units(tried(requested()))[0].deployment
    gpu = deployment.gpu
    text = Disaggregation()
    node, zone = (joined(deployment, place, text) for place in ("node", "zone"))
    assert (node.gb_s, node.kind, node.evidence) == (gpu.link_gb_s, "switch", Evidence.MODELLED)
    assert (zone.gb_s, zone.kind) == (gpu.nic_gb_s, "network")
    assumed = replace(deployment, gpu=replace(gpu, nic_evidence="assumed"))
    assert joined(assumed, "zone", text).evidence is Evidence.ASSUMED
    unlinked = replace(deployment, gpu=replace(gpu, nic_gb_s=0.0))
    assert joined(unlinked, "zone", text) is None
    stated = joined(unlinked, "zone", Disaggregation.model_validate({"kv_link": {"gb_s": 12.5}}))
    assert (stated.gb_s, stated.kind, stated.evidence) == (12.5, "stated", Evidence.ASSUMED)


def test_a_gpu_without_a_network_rate_has_no_units_in_a_zone(monkeypatch):
    gpu = CATALOG.gpu("h100-sxm-80gb")
    known = CATALOG.gpu
    unlinked = replace(gpu, nic_gb_s=0.0)
    monkeypatch.setattr(
        Catalog, "gpu", lambda self, name: unlinked if name == gpu.name else known(name)
    )
    found = tried(requested(within="zone", colocated=False))
    assert not units(found)
    assert any("kv_link.gb_s" in text for text in reasons(found, RejectionReason.NO_LINK))


def test_the_evidence_is_that_of_the_weakest_part():
    for candidate in units(tried(requested(kv_link={"gb_s": 10}))):
        assert candidate.evidence is Evidence.ASSUMED


@pytest.mark.parametrize("tpot", ["20ms", "40ms", "200ms"])
def test_units_are_bought_only_where_nothing_that_does_both_is_cheaper(tpot):
    base = requested()
    slo = {"ttft_p99": "3s", "tpot_p99": tpot}
    costs = {}
    for name, pools in (("both", None), ("apart", base.search.disaggregation)):
        one = service(
            LLAMA_70B,
            prompt_tokens=3000,
            slo=slo,
            rate=15.0,
            search={
                **base.search.model_dump(exclude={"disaggregation"}),
                "disaggregation": pools,
            },
        )
        scenario = Scenario(services=(one,))
        problem = problem_of(scenario, {"chat": tried(one)}, OFFERS, CATALOG)
        costs[name] = decide(problem, SolveOptions()).objective_usd_per_hour
    if costs["both"] is None:
        assert costs["apart"] is not None
    else:
        assert costs["apart"] <= costs["both"]


# ---- experts over nodes


def deep(**more: object):
    search = {
        "gpus": ["h200-sxm-141gb"],
        "engines": ["sglang"],
        "tensor_parallel": [1],
        "data_parallel": [16],
        "expert_parallel": [8, 16],
        "weights": ["fp8"],
        "kv_cache": ["bf16"],
        **more,
    }
    return service(DEEPSEEK, slo={"ttft_p99": "9s", "tpot_p99": "200ms"}, search=search)


def test_ranks_span_nodes_only_where_the_search_lets_them_and_with_whole_experts():
    assert not tried(deep(), NODES).candidates
    found = tried(deep(spanning_nodes=2), NODES)
    assert [(c.deployment.expert_parallel, c.group_sizes) for c in found.candidates] == [
        (16, (8, 8))
    ]
    assert any("whole experts" in text for text in reasons(found, RejectionReason.NOT_OFFERED))
    assert not tried(
        deep(data_parallel=[32], expert_parallel=[32], spanning_nodes=2), NODES
    ).candidates


def test_ranks_fill_whole_nodes():
    deployment = tried(deep(spanning_nodes=2), NODES).candidates[0].deployment
    assert node_groups(deployment, 8, 2) == (8, 8)
    odd = replace(deployment, data_parallel=12, expert_parallel=12)
    assert node_groups(odd, 8, 2) == ()
    inside = replace(deployment, data_parallel=8, expert_parallel=8)
    assert node_groups(inside, 8, 1) == (8,)


def test_stages_predicted_in_one_node_stay_in_one_where_it_is_offered():
    deployment = tried(deep(spanning_nodes=2), NODES).candidates[0].deployment
    staged = replace(
        deployment, tensor_parallel=4, data_parallel=1, expert_parallel=1, pipeline_parallel=2
    )
    assert node_groups(staged, 8, 1) == (8,)
    assert node_groups(staged, 4, 1) == (4, 4)
    four = replace(staged, pipeline_parallel=4)
    assert node_groups(four, 8, 1) == (4, 4, 4, 4)  # sixteen GPUs, predicted over the network


def test_wide_replicas_are_packed_into_whole_nodes():
    one = deep(spanning_nodes=2)
    scenario = Scenario(services=(one,))
    found = tried(one, NODES)
    solution = decide(problem_of(scenario, {"chat": found}, NODES, CATALOG), SolveOptions())
    replicas = sum(solution.replicas.values())
    assert replicas >= 1
    assert sum(solution.billed.values()) == 2 * replicas
