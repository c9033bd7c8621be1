"""A plan says which engine version it rests on, and where its load was never measured."""

from __future__ import annotations

import pytest

from planner import solve
from planner.scenario.schema import Scenario


def assumptions(rate: float, **slo: str) -> list[str]:
    scenario = Scenario.model_validate(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "rate": rate,
            "prompt_tokens": 1000,
            "output_tokens": 300,
            "slo": slo,
            "search": {
                "gpus": ("h100",),
                "tensor_parallel": (1,),
                "weights": ("bf16",),
                "kv_cache": ("bf16",),
            },
        }
    )
    return list(solve(scenario, verify="none").assumptions)


def test_the_engine_version_is_reported_with_its_age() -> None:
    (line,) = [a for a in assumptions(1, tpot_p99="8ms") if a.startswith("planned and launched as")]
    assert "vllm 0.19.0 (2026-04-03)" in line
    assert "newest measured 0." in line
    assert "months later" in line


@pytest.mark.parametrize(("tpot", "noted"), [("80ms", True), ("12ms", False)])
def test_a_capacity_outside_the_measured_concurrency_says_so(tpot: str, noted: bool) -> None:
    text = [a for a in assumptions(20, tpot_p99=tpot) if "requests concurrently" in a]
    assert bool(text) == noted
    assert all("vllm on h100-sxm-80gb was measured at" in a for a in text)
