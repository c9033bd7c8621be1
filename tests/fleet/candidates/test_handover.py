"""Pools on two GPU types: what a connector hands over, what that costs, and the units it allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.deployment import Deployment, Draft, EngineSettings
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.handover import (
    conversion_s_per_byte,
    handover_reasons,
    unvalidated_note,
)
from planner.fleet.candidates.pool_link import kv_link
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import load_calibration
from planner.scenario.schema import Scenario, Service
from planner.scenario.search.disaggregation import Disaggregation
from planner.solving.build_problem import problem_of

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
LLAMA, DEEPSEEK, HYBRID = (
    "meta-llama/Llama-3.3-70B-Instruct",
    "deepseek-ai/DeepSeek-R1",
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
)


def side(gpu: str, model: str = LLAMA, engine: str = "vllm", kv: str = "bf16", tp: int = 4):
    return Deployment(
        CATALOG.model(model),
        CATALOG.gpu(gpu),
        CATALOG.engine(engine),
        tp,
        CATALOG.weight_format("fp8"),
        CATALOG.kv_format(kv),
    )


def reasons(prefill: Deployment, decode: Deployment) -> str:
    return "; ".join(handover_reasons(CATALOG.root, prefill, decode))


def offers(*gpus: str) -> tuple[Offer, ...]:
    return tuple(
        Offer("p", "r", f"8x{g}", g, 8, Term.ON_DEMAND, 8.0, "2026-01-01", "list") for g in gpus
    )


def tried(*gpus: str, **pools: object) -> CandidateSet:
    return enumerate_candidates(service(**pools), CATALOG, offers(*gpus), CALIBRATION)


def service(**pools: object) -> Service:
    return Service.model_validate(
        {
            "name": "chat",
            "model": LLAMA,
            "rate": 5.0,
            "prompt_tokens": 3000,
            "output_tokens": 300,
            "slo": {"ttft_p99": "4s", "tpot_p99": "60ms"},
            "allow_lower_precision": True,
            "search": {
                "tensor_parallel": [4],
                "weights": ["fp8"],
                "kv_cache": ["bf16"],
                "disaggregation": {"ratios": ["2P1D"], "colocated": False, **pools},
            },
        }
    )


def test_hopper_and_ampere_share_a_backend_with_a_16_bit_cache() -> None:
    assert not reasons(side("h100-sxm-80gb"), side("h200-sxm-141gb"))
    assert not reasons(side("a100-sxm-80gb"), side("h200-sxm-141gb"))
    eight = reasons(side("a100-sxm-80gb", kv="fp8"), side("h200-sxm-141gb", kv="fp8"))
    assert "NixlConnector needs the same backend" in eight


@pytest.mark.parametrize(
    ("prefill", "decode", "why"),
    [
        (side("h100-sxm-80gb"), side("b200-sxm-180gb"), "FLASH_ATTN and FLASHINFER"),
        (side("h100-sxm-80gb"), side("mi300x"), "vendor on both sides: nvidia and amd"),
        (side("h100-sxm-80gb", kv="fp8"), side("h200-sxm-141gb"), "kv cache on both sides"),
        (
            side("h100-sxm-80gb", HYBRID, tp=2),
            side("h200-sxm-141gb", HYBRID),
            "tensor parallel on both sides: 2 and 4",
        ),
        (
            side("h100-sxm-80gb", engine="sglang"),
            side("b200-sxm-180gb", engine="sglang"),
            "blocks of 1 tokens to ones of 64",
        ),
    ],
)
def test_what_does_not_match_is_refused(prefill, decode, why: str) -> None:
    assert why in reasons(prefill, decode)


def test_drafts_must_match_on_both_sides() -> None:
    decode = replace(
        side("h200-sxm-141gb", DEEPSEEK),
        settings=EngineSettings(draft_tokens=2, draft_acceptance=0.5),
        draft=Draft("mtp"),
    )
    assert "draft on both sides: none and mtp:2" in reasons(side("h100-sxm-80gb", DEEPSEEK), decode)


def test_another_layout_is_rewritten_at_the_decode_side_s_bandwidth() -> None:
    same, wider = side("h200-sxm-141gb"), side("h200-sxm-141gb", tp=8)
    prefill = side("h100-sxm-80gb")
    root = CATALOG.root
    assert conversion_s_per_byte(root, prefill, same) == 0.0
    assert conversion_s_per_byte(root, prefill, wider) == 2 / same.gpu.bandwidth_bytes_s
    text = Disaggregation()
    as_it_came = kv_link(prefill, same, 12, "zone", root, text)
    rewritten = kv_link(prefill, wider, 12, "zone", root, text)
    assert as_it_came.gb_s == min(prefill.gpu.nic_gb_s, same.gpu.nic_gb_s)
    assert 1 / rewritten.gb_s == pytest.approx(1 / as_it_came.gb_s + 2e9 / 4.8e12)


def test_the_slower_network_carries_the_cache() -> None:
    slow, fast = side("a100-sxm-80gb"), side("h100-sxm-80gb")
    assert slow.gpu.nic_gb_s < fast.gpu.nic_gb_s
    found = kv_link(slow, fast, 8, "zone", CATALOG.root, Disaggregation())
    assert found.gb_s == slow.gpu.nic_gb_s


def test_units_stand_on_the_gpus_that_each_pool_names() -> None:
    found = tried(
        "h100-sxm-80gb",
        "h200-sxm-141gb",
        "b200-sxm-180gb",
        prefill_gpus=["h100-sxm-80gb"],
        decode_gpus=["h200-sxm-141gb", "b200-sxm-180gb"],
    )
    (unit,) = found.candidates
    assert unit.label.startswith("12x h100-sxm-80gb+h200-sxm-141gb vllm 2P (TP4) + 1D (TP4)")
    assert unit.gpus_by_type == {"h200-sxm-141gb": 4, "h100-sxm-80gb": 8}
    assert (unit.group_sizes, unit.prefill_groups) == ((4,), (4, 4))
    assert any(
        "FLASHINFER" in r.detail
        for r in found.rejections
        if r.reason == RejectionReason.NO_HANDOVER
    )


def test_pools_stay_on_one_type_where_none_is_named() -> None:
    found = tried("h100-sxm-80gb", "h200-sxm-141gb")
    assert {c.label.split()[1] for c in found.candidates} == {"h100-sxm-80gb", "h200-sxm-141gb"}


def test_the_program_gets_both_types_and_every_place() -> None:
    requested = service(prefill_gpus=["h100-sxm-80gb"], decode_gpus=["h200-sxm-141gb"])
    elsewhere = [replace(o, region="q", usd_per_hour=9.0) for o in offers("h100-sxm-80gb")]
    listed = (*offers("h100-sxm-80gb", "h200-sxm-141gb"), *elsewhere)
    sets = {"chat": enumerate_candidates(requested, CATALOG, listed, CALIBRATION)}
    problem = problem_of(Scenario(services=(requested,)), sets, listed, CATALOG)
    (kind,) = problem.kinds
    assert (kind.gpus, kind.gpu, kind.beside.gpu, kind.beside.groups) == (
        4,
        "h200-sxm-141gb",
        "h100-sxm-80gb",
        (4, 4),
    )
    assert {o.place for o in problem.offers} == {"p r", "p q"}


def test_what_no_source_says_of_a_connector_is_named() -> None:
    (said,) = unvalidated_note(CATALOG.root, side("h200-sxm-141gb", engine="sglang"))
    assert said == (
        "nixl of sglang between two GPU types: whether the same weights, draft, vendor are needed is "
        "unvalidated"
    )
    assert not list(unvalidated_note(CATALOG.root, side("h200-sxm-141gb")))


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_units_on_two_gpu_types_say_what_is_unvalidated(engine: str) -> None:
    pools = {"prefill_gpus": ["h100-sxm-80gb"], "decode_gpus": ["h200-sxm-141gb"]}
    asked = service(**pools)
    search = asked.search.model_copy(update={"engines": (engine,)})
    found = enumerate_candidates(
        asked.model_copy(update={"search": search}),
        CATALOG,
        offers("h100-sxm-80gb", "h200-sxm-141gb"),
        CALIBRATION,
    )
    assert found.candidates
    for candidate in found.candidates:
        assert any("unvalidated" in note for note in candidate.notes) is (engine == "sglang")
