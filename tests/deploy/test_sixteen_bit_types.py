"""GPUs without bfloat16 are planned and launched in float16, or the family is rejected."""

from __future__ import annotations

import pytest

from planner import solve
from planner.catalog.engine import version_key
from planner.catalog.store import load_catalog
from planner.deploy.choices import Choices
from planner.deploy.targets import launch_files
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.offers.admitted import admitted_offers
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import load_calibration
from planner.scenario.schema import Scenario

CATALOG = load_catalog()
WITHOUT_BFLOAT16 = [g.name for g in CATALOG.gpus() if not g.peak_flops("bf16")]


def requested(model: str, gpu: str, **search: object) -> dict[str, object]:
    return {
        "model": model,
        "rate": 1,
        "prompt_tokens": 500,
        "output_tokens": 100,
        "slo": {"ttft_p99": "20s", "tpot_p99": "1s"},
        "allow_lower_precision": True,
        "search": {"gpus": (gpu,), "tensor_parallel": (1, 2, 4), **search},
    }


def test_gpus_without_bfloat16_are_those_below_compute_capability_8() -> None:
    nvidia = [g for g in CATALOG.gpus() if g.vendor == "nvidia"]
    below = [g.name for g in nvidia if version_key(g.compute_capability) < (8,)]
    assert below == WITHOUT_BFLOAT16


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_turing_plan_is_float16_and_launches_so(engine: str) -> None:
    scenario = Scenario.model_validate(
        requested(
            "meta-llama/Llama-3.1-8B-Instruct", "t4", weights=("bf16", "fp16"), engines=(engine,)
        )
    )
    plan = solve(scenario, verify="none")
    (group,) = plan.services[0].replica_groups
    assert (group.weights, group.kv_cache) == ("fp16", "fp16")
    files = launch_files(plan, CATALOG, engine, Choices()).files
    text = "\n".join(files.values())
    assert "float16" in text
    assert "bfloat16" not in text


@pytest.mark.parametrize(
    "model", ["google/gemma-2-2b", "google/gemma-3-1b-it", "zai-org/GLM-4-9B-0414"]
)
@pytest.mark.parametrize("weights", ["bf16", "int4"])
def test_families_that_refuse_float16_are_rejected_on_turing(model: str, weights: str) -> None:
    (service,) = Scenario.model_validate(requested(model, "t4", weights=(weights,))).services
    offers = admitted_offers(Scenario.model_validate(requested(model, "t4")).prices, CATALOG)
    found = enumerate_candidates(service, CATALOG, offers, load_calibration(CATALOG))
    assert not found.candidates
    assert {r.reason for r in found.rejections} == {RejectionReason.UNSUPPORTED}


def test_the_same_families_run_in_bfloat16_from_ampere_on() -> None:
    content = requested("google/gemma-2-2b", "a10", weights=("bf16",), kv_cache=("bf16",))
    scenario = Scenario.model_validate(content)
    offers = admitted_offers(scenario.prices, CATALOG)
    (service,) = scenario.services
    found = enumerate_candidates(service, CATALOG, offers, load_calibration(CATALOG))
    assert {c.deployment.weights.name for c in found.candidates} == {"bf16"}
