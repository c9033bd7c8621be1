"""Whatever the solver's version prints: every ``--format json`` is one JSON document on stdout."""

import json
import subprocess
import sys

import pytest

SMALL = "chat_8b_small_cards"
QUICK = ("--verify", "none")
CALLS = (
    ("solve", SMALL, *QUICK),
    ("solve", "infeasible_tight_budget", *QUICK),
    ("explain", SMALL, *QUICK),
    ("compare", SMALL, "--vary", "tensor_parallel=1,2", *QUICK),
    ("sweep", SMALL, "--rate", "2..4", "--steps", "2", *QUICK),
    ("frontier", SMALL),
    ("report", SMALL, *QUICK),
    ("memory", "--model", "Qwen/Qwen3-8B", "--gpu", "l4"),
    ("catalog", "gpus", "h100"),
)
INFEASIBLE = 3


def planner(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", *args], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("call", CALLS, ids=lambda c: " ".join(c[:2]))
def test_standard_output_is_one_json_document(call):
    done = planner(*call, "--format", "json")
    assert done.returncode in (0, INFEASIBLE), done.stderr
    json.loads(done.stdout)


def test_plans_that_are_read_again_answer_in_json_too(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(planner("solve", SMALL, *QUICK, "--format", "json").stdout)
    for call in (
        ("verify", str(plan)),
        ("diff", str(plan), str(plan)),
        ("simulate", SMALL, "--plan", str(plan), "--duration", "1m"),
    ):
        done = planner(*call, "--format", "json")
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
