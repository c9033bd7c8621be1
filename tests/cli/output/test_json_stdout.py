"""Whatever the solver's version prints: every ``--format json`` is one JSON document on stdout."""

import json
import subprocess
import sys

import pytest

from planner.cli.main import main

SMALL = "chat_8b_small_gpus"
QUICK = ("--verify", "none")
CALLS = (
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


def test_a_process_that_solves_prints_one_json_document():
    """The first solve of a process is when a solver shows its banner."""
    done = planner("solve", SMALL, *QUICK, "--format", "json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


@pytest.mark.parametrize("call", CALLS, ids=lambda c: " ".join(c[:2]))
def test_standard_output_is_one_json_document(call, capfd):
    code = main([*call, "--format", "json"])
    out, err = capfd.readouterr()
    assert code in (0, INFEASIBLE), err
    json.loads(out)


def test_plans_that_are_read_again_answer_in_json_too(tmp_path, capfd):
    plan = tmp_path / "plan.json"
    assert main(["solve", SMALL, *QUICK, "--format", "json", "-o", str(plan)]) == 0
    for call in (
        ("verify", str(plan)),
        ("diff", str(plan), str(plan)),
        ("simulate", SMALL, "--plan", str(plan), "--duration", "1m"),
    ):
        capfd.readouterr()
        code = main([*call, "--format", "json"])
        out, err = capfd.readouterr()
        assert code == 0, err
        json.loads(out)
