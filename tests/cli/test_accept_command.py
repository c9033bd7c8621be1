"""planner accept: the test of one replica printed, judged, and solved with."""

import json

import pytest

from planner.api import solve
from planner.cli.main import main

SCENARIO = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 60
prompt_tokens: 700
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 60ms}
search: {gpus: [h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plan's file, in a folder of its own."""
    path = tmp_path_factory.mktemp("accept")
    (path / "small.yaml").write_text(SCENARIO)
    plan = solve(path / "small.yaml", verify="none", rivals=0)
    (path / "plan.json").write_text(plan.to_json())
    return path


def result(folder, slower, **more):
    """A run at the planned rate, its mean TPOT ``slower`` times the limit."""
    (test,) = json.loads((folder / "plan.json").read_text())["acceptance"]
    rung = test["rungs"][-1]
    tpot_ms = 1e3 * slower * rung["limits_s"]["tpot_mean"]
    file = folder / f"result-{slower}-{len(more)}.json"
    file.write_text(
        json.dumps(
            {
                "model_id": test["model"],
                "completed": 1000,
                "total_input_tokens": 1000 * test["prompt_tokens"],
                "total_output_tokens": 1000 * test["output_tokens"],
                "request_rate": float(f"{rung['rate_qps']:.4g}"),
                "max_concurrency": rung["concurrency"],
                "mean_ttft_ms": 60.0,
                "mean_tpot_ms": tpot_ms,
                "p99_ttft_ms": 200.0,
                "p99_tpot_ms": min(tpot_ms, 55.0),
                **more,
            }
        )
    )
    return str(file)


def test_without_results_the_commands_and_limits_are_printed(folder, capsys):
    assert main(["accept", "--plan", str(folder / "plan.json")]) == 0
    text = capsys.readouterr().out
    assert text.count("vllm bench serve") == 3
    assert "100 % of the planned rate" in text
    assert "ttft_p99 at most 2 s" in text


def test_the_tests_of_every_kind_of_replica_are_printed(folder, capsys):
    """The plan's advice, `planner accept --plan PLAN.json`, was refused where it has two kinds."""
    plan = json.loads((folder / "plan.json").read_text())
    other = {**plan["acceptance"][0], "replica": "1x l40s vllm TP1 bf16/bf16"}
    path = folder / "two.json"
    path.write_text(json.dumps({**plan, "acceptance": [*plan["acceptance"], other]}))
    assert main(["accept", "--plan", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.count("vllm bench serve") == 6
    assert "Then, in a folder of its own: planner accept rung-*.json --plan PLAN.json" in text
    assert text.rstrip().endswith("--replica '1x l40s vllm TP1 bf16/bf16'")
    assert main(["accept", result(folder, 0.9), "--plan", str(path)]) == 2
    assert "which replica was tested?" in capsys.readouterr().err


def test_a_replica_as_fast_as_planned_passes(folder, capsys):
    args = ["accept", result(folder, 0.9), "--plan", str(folder / "plan.json"), "--no-solve"]
    assert main(args) == 0
    assert capsys.readouterr().out.startswith("Passed.")


def test_failed_requests_fail_the_test(folder, capsys):
    file = result(folder, 0.9, failed=400)
    assert main(["accept", file, "--plan", str(folder / "plan.json"), "--no-solve"]) == 3
    text = capsys.readouterr().out
    assert text.startswith("Failed: the runs are not what the plan asked for.")
    assert "400 of 1400 requests failed" in text


def test_a_slower_replica_fails_and_the_fleet_is_solved_again(folder, capsys):
    kept = folder / "mine.yaml"
    args = ["accept", result(folder, 1.3), "--plan", str(folder / "plan.json"), "--format", "json",
            "--save-calibration", str(kept)]  # fmt: skip
    assert main(args) == 3
    found = json.loads(capsys.readouterr().out)
    assert not found["passes"]
    assert [v["statistic"] for v in found["limits"] if not v["passes"]] == ["tpot_mean"]
    planned = json.loads((folder / "plan.json").read_text())["totals"]["gpus_rented"]
    assert found["solved_again"]["gpus"] >= planned
    assert kept.exists()


def test_a_plan_without_such_a_replica_is_refused(folder, capsys):
    args = ["accept", "--plan", str(folder / "plan.json"), "--service", "other"]
    assert main(args) == 2
    assert "no such acceptance test" in capsys.readouterr().err
