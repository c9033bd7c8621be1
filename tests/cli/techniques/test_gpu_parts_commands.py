"""Parts of a GPU, and memory that others hold, from a scenario file to a verified plan and launch files."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: Qwen/Qwen3-4B
rate: RATE
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p95: 2s, tpot_p95: 40ms}
search: {gpus: [h100-sxm-80gb], weights: [native], kv_cache: [bf16]MORE}
"""


def solved(folder, rate, more="", rest=""):
    scenario, plan = folder / "parts.yaml", folder / "plan.json"
    scenario.write_text(SCENARIO.replace("RATE", rate).replace("MORE", more) + rest)
    call = ["solve", str(scenario), "--verify", "none", "--format", "json", "-o", str(plan)]
    assert main(call) == 0
    (service,) = json.loads(plan.read_text())["services"]
    return plan, service["replica_groups"]


def test_two_small_services_share_a_gpu_in_mig_slices(tmp_path, capsys):
    plan, (group,) = solved(tmp_path, "4", rest="sharing: {gpu: [3g.40gb]}\n")
    assert (group["profile"], group["gpu_share"]) == ("3g.40gb", 0.5)
    assert group["memory"]["total_bytes"] == pytest.approx(39.38 * 2**30)
    capsys.readouterr()
    assert main(["verify", str(plan)]) == 0


def test_a_profile_is_checked_again(tmp_path, capsys):
    plan, _ = solved(tmp_path, "4", rest="sharing: {gpu: [3g.40gb]}\n")
    text = json.loads(plan.read_text())
    text["services"][0]["replica_groups"][0]["profile"] = "3g.71gb"
    plan.write_text(json.dumps(text))
    capsys.readouterr()
    assert main(["verify", str(plan), "--failed-only"]) == 2


def test_reserved_memory_reaches_the_engine(tmp_path, capsys):
    plan, (group,) = solved(tmp_path, "4", ", reserved_memory: 20GiB")
    assert group["notes"] == ["20 GiB of each GPU are held by others"]
    capsys.readouterr()
    assert main(["verify", str(plan)]) == 0
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(tmp_path / "files")]) == 0
    (script,) = (tmp_path / "files").glob("serve-*.sh")
    assert "--gpu-memory-utilization 0.74" in script.read_text()


@pytest.mark.parametrize(
    ("more", "rest", "said"),
    [
        ("", "sharing: {gpu: [9g.99gb]}\n", "unknown MIG profile '9g.99gb'"),
        ("", "sharing: {gpu: [1.5]}\n", "must be less than 1"),
        (", reserved_memory: lots", "", 'expected "80GiB"'),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, refused, more, rest, said):
    scenario = tmp_path / "bad.yaml"
    scenario.write_text(SCENARIO.replace("RATE", "1").replace("MORE", more) + rest)
    assert said in refused("solve", str(scenario), "--verify", "none")


def test_parts_are_counted_and_named_as_parts(tmp_path, capsys):
    two = """
services:
  - {name: a, model: Qwen/Qwen3-4B, rate: 2, prompt_tokens: 500, output_tokens: 100, slo: {tpot_p95: 60ms}}
  - {name: b, model: Qwen/Qwen3-8B, rate: 1, prompt_tokens: 500, output_tokens: 100, slo: {tpot_p95: 60ms}}
search: {gpus: [l40s], tensor_parallel: [1], weights: [native], kv_cache: [bf16]}
sharing: {gpu: [0.5]}
"""
    scenario = tmp_path / "two.yaml"
    scenario.write_text(two)
    assert main(["solve", str(scenario), "--verify", "none"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "GPUs: 1 (2 parts in use, 1 node)" in text
    assert "Run: a: 1 replica of 1 l40s (50 % of one), vllm" in text
    assert "tensorrt-llm: $0.929/h (0 %)" in text  # sized on parts too
