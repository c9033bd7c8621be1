"""The main job through its real entry point."""

import json
import subprocess
import sys

import pytest

from planner.cli.main import main
from planner.plan.schema import read_plan

PLAN_KEYS = (
    *("schema_version", "scenario", "status", "objective_usd_per_hour", "bound_usd_per_hour"),
    *("gap", "services", "nodes", "totals", "rejections", "provenance"),
)
TOTAL_KEYS = ("gpus", "usd_per_hour", "usd_per_month", "usd_per_million_output_tokens")
GROUP_KEYS = (
    *("gpu", "engine", "tensor_parallel", "weights", "kv_cache", "replicas", "gpus"),
    *("usd_per_hour", "capacity_qps", "concurrency", "memory", "predicted", "evidence"),
)


def planner(*args, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "planner", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=None,
    )


@pytest.fixture
def solved(main_plan):
    """What a process of its own wrote."""
    return main_plan


def test_the_plan_says_everything(solved):
    data = json.loads(solved.read_text())
    for key in PLAN_KEYS:
        assert key in data
    assert data["status"] == "optimal"
    assert data["objective_usd_per_hour"] == pytest.approx(data["bound_usd_per_hour"], rel=1e-6)
    for key in TOTAL_KEYS:
        assert data["totals"][key] > 0
    (service,) = data["services"]
    for group in service["replica_groups"]:
        for key in GROUP_KEYS:
            assert key in group
        assert 0 < group["predicted"]["ttft_p99_s"] <= 2.0
        assert 0 < group["predicted"]["tpot_p99_s"] <= 0.1


def test_no_physics_floor_forbids_it(solved):
    plan = read_plan(solved)
    (service,) = plan.services
    gpus = sum(g.gpus for g in service.replica_groups)
    assert gpus >= service.floors["gpus_for_arithmetic_alone"]
    capacity = sum(g.capacity_qps * g.replicas for g in service.replica_groups)
    assert capacity >= service.rate_qps


@pytest.mark.parametrize(("weights", "least"), [("bf16", 11), ("int4", 11), ("fp8", 6)])
def test_h100_counts_respect_the_arithmetic(tmp_path, weights, least):
    scenario = tmp_path / "h100.yaml"
    scenario.write_text(
        "model: meta-llama/Meta-Llama-3-70B-Instruct\nrate: 50\nprompt_tokens: 1000\n"
        "output_tokens: 500\nslo: {ttft_p99: 2s, tpot_p99: 100ms}\nallow_lower_precision: true\n"
        f"search: {{gpus: [h100-sxm-80gb], weights: [{weights}]}}\n"
    )
    done = planner("solve", str(scenario), "--verify", "none", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["gpus"] >= least


def test_round_trip(solved):
    plan = read_plan(solved)
    assert json.loads(plan.to_json()) == json.loads(solved.read_text())


def test_same_question_same_plan(solved, tmp_path):
    again = tmp_path / "again.json"
    planner("solve", "llama70b_qps50", "--verify", "none", "--format", "json", "-o", str(again))
    one, two = json.loads(solved.read_text()), json.loads(again.read_text())
    one["provenance"].pop("run")
    two["provenance"].pop("run")
    assert one == two


def test_the_terminal_report_starts_with_the_decision(capsys):
    assert main(["solve", "llama70b_qps50", "--verify", "none"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Rent 17 x MI300X ")
    for words in (
        "What to rent",
        "Predicted latency",
        "Alternatives considered",
        "Rejected configurations",
    ):
        assert words in text
    assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("rate: [", 2, "not valid YAML"),
        ("model: nobody/nothing\n", 2, "required"),
        (None, 2, "no such scenario file"),
    ],
)
def test_bad_input_gives_one_message(tmp_path, text, code, words):
    path = tmp_path / "bad.yaml"
    if text is not None:
        path.write_text(text)
    done = planner("solve", str(path))
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_broken_catalog_exits_4(tmp_path):
    done = planner("solve", "llama70b_qps50", "--catalogs", str(tmp_path))
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_an_infeasible_scenario_exits_3_and_says_why():
    small = ("gpus=[l40s]", "tensor_parallel=[1]", "pipeline_parallel=[1]", "weights=[bf16]")
    changes = (word for field in small for word in ("--set", f"search.{field}"))
    done = planner("solve", "llama70b_qps50", "--verify", "none", *changes)
    assert done.returncode == 3
    assert "no fleet can meet this scenario" in done.stdout
    assert "missing" in done.stdout
