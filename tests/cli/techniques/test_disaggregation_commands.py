"""Two pools from a scenario file to launch files, and experts over nodes, through the command line."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: meta-llama/Llama-3.3-70B-Instruct
rate: 8
prompt_tokens: {mean: 3000, cv: 0.5, max: 12000}
output_tokens: {mean: 150, cv: 0.5, max: 600}
slo: {ttft_p99: 4s, tpot_p99: 25ms}
search:
  gpus: [h100-sxm-80gb]
  tensor_parallel: [2, 4]
  weights: [fp8]
  kv_cache: [bf16]
  disaggregation: {ratios: [1P1D, 2P1D, 3P1D]}
prices: {providers: [aws, crusoe, nebius, oci]}
allow_lower_precision: true
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    (folder / "pools.yaml").write_text(SCENARIO)
    plan = folder / "plan.json"
    assert main(["solve", str(folder / "pools.yaml"), "--format", "json", "-o", str(plan)]) == 0
    return folder


def group(folder):
    (service,) = json.loads((folder / "plan.json").read_text())["services"]
    (chosen,) = service["replica_groups"]
    return chosen


def test_the_plan_buys_units_and_holds_in_the_simulator(solved):
    chosen = group(solved)
    pool = chosen["prefill"]
    each = pool["replicas"] * pool["tensor_parallel"]
    each += pool["decode_replicas"] * chosen["tensor_parallel"]
    assert chosen["gpus"] == chosen["replicas"] * each
    assert chosen["predicted"]["method"] == "simulated"
    assert chosen["predicted"]["tpot_p99_s"] <= 0.025
    assert pool["memory"]["weights_bytes"] > 0
    plan = json.loads((solved / "plan.json").read_text())
    assert any(r["holds"] for r in plan["verification"]["rounds"])
    assert "prefill and decode together" in {a["restricted_to"] for a in plan["alternatives"]}


def test_verify_re_checks_both_pools(solved, capsys):
    plan = str(solved / "plan.json")
    assert main(["verify", plan, "--format", "json"]) == 0
    text = capsys.readouterr().out
    for statement in (
        "prefill weights [bytes per GPU]",
        "KV link [GB/s per GPU]",
        " ratio",
        " place",
    ):
        assert statement in text


def test_verify_names_each_value_of_a_unit_that_was_tampered_with(solved, tmp_path, capsys):
    plan = json.loads((solved / "plan.json").read_text())
    pool = plan["services"][0]["replica_groups"][0]["prefill"]
    pool |= {"link_gb_s": 500.0, "replicas": 4, "within": "node"}
    pool["memory"]["weights_bytes"] *= 0.5
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    assert main(["verify", str(path), "--failed-only"]) == 2
    text = " ".join(capsys.readouterr().out.split())
    for statement in (
        "KV link [GB/s per GPU]",
        " ratio",
        "prefill.within: node = zone",
        "prefill weights",
    ):
        assert statement in text


def test_simulate_runs_the_units(solved, capsys):
    scenario, plan = str(solved / "pools.yaml"), str(solved / "plan.json")
    given = ["simulate", scenario, "--plan", plan, "--format", "json", "--duration", "5m"]
    assert main(given) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert service["percentiles"]["ttft_p50_s"]["value"] > 0.005  # the link's latency alone
    assert main([*given, "--scale", "1m:6"]) == 2
    assert "cannot be scaled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("style", "more"), [("table", ["--quick"]), ("md", []), ("html", ["--quick"])]
)
def test_reports_show_both_pools(solved, capsys, style, more):
    assert main(["report", str(solved / "plan.json"), "--format", style, *more]) == 0
    text = " ".join(capsys.readouterr().out.split())
    chosen = group(solved)
    pool = chosen["prefill"]
    assert f"{pool['replicas']}P (TP{pool['tensor_parallel']})" in text
    assert f"prefill TP{pool['tensor_parallel']}" in text
    assert f"decode TP{chosen['tensor_parallel']}" in text
    assert "GB/s a GPU" in text


def test_explain_and_deploy_take_the_plan(solved, tmp_path, capsys):
    assert main(["explain", str(solved / "plan.json")]) == 0
    assert "P (TP" in " ".join(capsys.readouterr().out.split())
    out = tmp_path / "launch"
    given = ["deploy", str(solved / "plan.json"), "--target", "vllm", "-o", str(out)]
    assert main(given) == 0
    assert {p.name for p in out.iterdir()} >= {"route-pools.sh", "serve-pools-prefill.sh"}


def test_a_bad_ratio_is_reported_with_its_line(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text(SCENARIO.replace("3P1D", "1:2"))
    assert main(["solve", str(path)]) == 2
    text = capsys.readouterr().err
    assert "bad.yaml" in text
    assert "2P3D" in text


@pytest.mark.slow
def test_no_link_fast_enough_is_infeasible_and_says_so(tmp_path, capsys):
    path = tmp_path / "slow.yaml"
    requested = "{ratios: [1P1D], colocated: false, kv_link: {gb_s: 0.05}}"
    text = SCENARIO.replace("{ratios: [1P1D, 2P1D, 3P1D]}", requested)
    text = text.replace("{mean: 3000, cv: 0.5, max: 12000}", "3000")
    text = text.replace("{mean: 150, cv: 0.5, max: 600}", "150")
    text = text.replace("tensor_parallel: [2, 4]", "tensor_parallel: [4]")
    few = ("prices:", "  weights:", "  kv_cache:", "allow_lower_precision:")  # fewer to relax
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith(few)))
    assert main(["solve", str(path), "--verify", "none"]) == 3
    assert "ttft_p99" in capsys.readouterr().out


@pytest.mark.parametrize(
    "more",
    [
        "failures: {nodes: 1}",
        "failures: {zones: 1}",
        "load: {hourly: [1,1,1,1,1,1,2,3,4,5,5,5,5,5,5,5,5,4,3,3,2,2,1,1], peak_ratio: 1.2}",
        "assurance: {probability: 0.9, demand_cv: 0.1}",
        "arrivals: {process: gamma, cv: 2}",
        "buckets: {prompt_tokens: [3000], output_tokens: [200]}\nmax_deployments: 2",
        "sharing: {nodes: false}",
    ],
)
def test_units_are_planned_in_every_kind_of_fleet(more, tmp_path, capsys):
    path, plan = tmp_path / "fleet.yaml", tmp_path / "plan.json"
    path.write_text(SCENARIO.replace("{ratios", "{colocated: false, ratios") + more + "\n")
    given = ["solve", str(path), "--verify", "none", "--format", "json", "-o", str(plan)]
    assert main(given) == 0
    assert all(g["prefill"] for g in json.loads(plan.read_text())["services"][0]["replica_groups"])
    assert main(["verify", str(plan), "--failed-only"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm"])
def test_other_engines_hold_disaggregated_too(engine, tmp_path):
    path, plan = tmp_path / "fleet.yaml", tmp_path / "plan.json"
    text = SCENARIO.replace("search:", f"search:\n  engines: [{engine}]")
    text = text.replace("tensor_parallel: [2, 4]", "tensor_parallel: [4]")
    path.write_text(text.replace("[1P1D, 2P1D, 3P1D]", "[2P1D]"))
    assert main(["solve", str(path), "--format", "json", "-o", str(plan)]) == 0
    assert any(r["holds"] for r in json.loads(plan.read_text())["verification"]["rounds"])
    assert main(["verify", str(plan), "--failed-only"]) == 0
