"""Prefill and decode on two GPU types, from a scenario file to a verified plan and launch files."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: meta-llama/Llama-3.3-70B-Instruct
rate: 6
prompt_tokens: 4000
output_tokens: 300
slo: {ttft_p95: 3s, tpot_p95: 30ms}
search:
  tensor_parallel: [4]
  weights: [fp8]
  kv_cache: [bf16]
  disaggregation: {prefill_gpus: [PREFILL], decode_gpus: [DECODE], ratios: [2P1D], colocated: false}
prices: {providers: [nebius, crusoe, oci]}
allow_lower_precision: true
failures: {nodes: 1}
"""


def written(folder, prefill="h100-sxm-80gb", decode="h200-sxm-141gb"):
    scenario = folder / "pools.yaml"
    scenario.write_text(SCENARIO.replace("PREFILL", prefill).replace("DECODE", decode))
    return scenario


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two-types")
    plan = folder / "plan.json"
    call = ["solve", str(written(folder)), "--verify", "none", "--format", "json", "-o", str(plan)]
    assert main(call) == 0
    return plan


def test_both_types_are_rented_in_one_place(solved):
    plan = json.loads(solved.read_text())
    (group,) = plan["services"][0]["replica_groups"]
    assert (group["prefill"]["gpu"], group["gpu"]) == ("h100-sxm-80gb", "h200-sxm-141gb")
    assert {n["gpu"] for n in plan["nodes"]} == {"h100-sxm-80gb", "h200-sxm-141gb"}
    assert len({(n["provider"], n["region"]) for n in plan["nodes"]}) == 1
    assert group["usd_per_hour"] == pytest.approx(plan["totals"]["usd_per_hour"])


def test_the_plan_holds_when_it_is_computed_again(solved, capsys):
    capsys.readouterr()
    assert main(["verify", str(solved)]) == 0
    out = capsys.readouterr().out
    assert "prefill GPU: h100-sxm-80gb one of h100-sxm-80gb" in out
    assert "nodes of h100-sxm-80gb" in out


def test_each_pool_is_launched_on_its_own_gpu(solved, tmp_path):
    call = ["deploy", str(solved), "--target", "llm-d", "-o", str(tmp_path)]
    assert main(call) == 0
    text = "".join(p.read_text() for p in sorted(tmp_path.rglob("*.yaml")))
    assert "NVIDIA-H100" in text
    assert "NVIDIA-H200" in text


def test_report_and_simulate_know_both(solved, capsys):
    capsys.readouterr()
    assert main(["report", str(solved), "--format", "md", "--quick"]) == 0
    assert "prefill TP" in capsys.readouterr().out
    assert main(["simulate", str(solved), "--duration", "2m"]) == 0


def test_mixed_vendors_are_rejected_with_the_reason(tmp_path, capsys):
    scenario = written(tmp_path, decode="mi300x")
    assert main(["solve", str(scenario), "--verify", "none"]) == 3
    assert "vendor" in capsys.readouterr().out


def test_an_unknown_gpu_is_named_with_its_line(tmp_path, refused):
    message = refused("solve", str(written(tmp_path, prefill="h101")))
    assert "search.disaggregation.prefill_gpus" in message
    assert "h101" in message


def test_a_comparison_by_gpu_holds_both_pools_to_it(tmp_path, capsys):
    call = ["compare", str(written(tmp_path)), "--vary", "gpu=h100-sxm-80gb,h200-sxm-141gb"]
    assert main([*call, "--verify", "none", "--format", "json"]) == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert [o["replicas"].partition(" 12x ")[2] for o in options] == [
        f"{gpu} vllm 2P (TP4) + 1D (TP4) in a zone fp8/bf16"
        for gpu in ("h100-sxm-80gb", "h200-sxm-141gb")
    ]
