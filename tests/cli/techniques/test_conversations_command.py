"""Conversations from the command line: solved, reported, simulated, verified."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 0.5 conversations/s
prompt_tokens: {mean: 3k, cv: 0.3}
output_tokens: {mean: 150, cv: 0.5}
conversations:
  turns: {mean: 8, cv: 0.5}
  think_time: {mean: 15s, cv: 1}
  growth: {mean: 500, cv: 1}
  shared_system_prompt: 1k
routing: {policy: prefix-aware}
slo: {ttft_p95: 2s, tpot_p95: 60ms}
search:
  gpus: [h100-sxm-80gb]
  engines: [ENGINE]
  tensor_parallel: [1]
  weights: [native]
  kv_cache: [bf16]
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "talk.yaml"
    path.write_text(SCENARIO.replace("ENGINE", "vllm"))
    return str(path)


def solved(scenario, tmp_path, *options):
    plan = tmp_path / "plan.json"
    assert main(["solve", scenario, "--format", "json", "-o", str(plan), *options]) == 0
    return plan, json.loads(plan.read_text())


def test_the_hit_share_is_a_result_with_its_cases(scenario, tmp_path, capsys):
    plan, written = solved(scenario, tmp_path)
    (service,) = written["services"]
    assert service["rate_qps"] == 4
    hits = service["prefix_hits"]
    assert hits["method"] == "simulated"
    assert 0.7 < hits["share"] <= hits["possible"] < 1
    cases = [c["changed"] for c in hits["cases"]]
    assert cases == [
        "half the think time",
        "double the think time",
        "20 % more requests",
        "least-loaded routing",
    ]
    assert main(["report", str(plan), "--format", "md", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "## Prefix cache" in out
    assert "would be by caches that forget nothing" in out
    assert "turns of conversations that start as poisson arrivals" in out


def test_the_closed_form_has_it_too_and_the_plan_verifies(scenario, tmp_path, capsys):
    plan, written = solved(scenario, tmp_path, "--verify", "none")
    hits = written["services"][0]["prefix_hits"]
    assert hits["method"] == "closed-form"
    assert [c["holds"] for c in hits["cases"]] == [None] * 4
    assert main(["verify", str(plan)]) == 0
    written["services"][0]["prefix_hits"]["share"] = 0.99
    plan.write_text(json.dumps(written))
    assert main(["verify", str(plan)]) != 0
    capsys.readouterr()


def test_a_simulation_prints_what_was_found(scenario, capsys):
    assert main(["simulate", scenario, "--duration", "5m", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    assert main(["simulate", scenario, "--concurrency", "8"]) == 2
    assert "the service has conversations" in capsys.readouterr().err


def test_host_memory_is_in_the_plan_and_in_the_launch_command(scenario, tmp_path, capsys):
    offload = "search.settings.kv_offload={host_memory: 200GB, bandwidth_gb_s: 40}"
    plan, written = solved(scenario, tmp_path, "--verify", "none", "--set", offload)
    assert written["services"][0]["replica_groups"][0]["settings"]["offload_host_gb"] == 200
    assert "no KV offload" in [c["changed"] for c in written["services"][0]["prefix_hits"]["cases"]]
    assert any("40 GB/s per GPU (stated)" in a for a in written["assumptions"])
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(tmp_path / "out")]) == 0
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert any("--kv-offloading-size 186" in p.read_text() for p in files)
    capsys.readouterr()


def test_a_disk_behind_an_engine_without_one_is_refused_by_name(scenario, capsys):
    offload = "search.settings.kv_offload={host_memory: 200GB, disk: 1TB, disk_gb_s: 5}"
    assert main(["solve", scenario, "--verify", "none", "--set", offload]) == 3
    assert "keeps no KV cache in disk by itself" in " ".join(capsys.readouterr().out.split())


def test_recorded_conversations_are_simulated_with_their_prefixes(tmp_path, capsys):
    rows = ["arrival_s,prompt_tokens,output_tokens,conversation_id"]
    rows += [f"{5 * i},{1000 + 300 * (i // 4)},100,{i % 4}" for i in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    text = SCENARIO.replace("ENGINE", "vllm")
    head, tail = text.index("prompt_tokens"), text.index("routing")
    text = text[:head] + f"conversations: {{trace: {tmp_path / 'mine.csv'}}}\n" + text[tail:]
    path = tmp_path / "recorded.yaml"
    path.write_text(text.replace("0.5 conversations/s", "2"))
    _, written = solved(str(path), tmp_path)
    hits = written["services"][0]["prefix_hits"]
    assert hits["share"] == pytest.approx(hits["possible"], abs=0.1)
    assert hits["share"] > 0.6
    assert [c["changed"] for c in hits["cases"]] == ["20 % more requests", "least-loaded routing"]
    assert any("40 recorded requests of mine.csv" in a for a in written["assumptions"])
    capsys.readouterr()
