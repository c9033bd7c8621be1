"""Commands that solve give one answer, and say in the same line whether it was simulated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner

from planner.cli import frontier, solve, sweep

SCENARIO = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 12
prompt_tokens: 1000
output_tokens: 300
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
prices: {providers: [verda, nebius, runpod]}
"""


COMMANDS: dict[str, Command] = {
    "frontier": frontier.command,
    "solve": solve.command,
    "sweep": sweep.command,
}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("one") / "small.yaml"
    path.write_text(SCENARIO)
    return str(path)


def run(*arguments: str) -> str:
    command, *rest = arguments
    result = CliRunner().invoke(COMMANDS[command], rest, standalone_mode=False)
    assert result.return_value == 0, result.output
    return result.stdout


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--format", "json"))


@pytest.fixture(scope="module")
def usd(scenario: str) -> float:
    plan = as_json("solve", scenario)
    return float(plan["totals"]["usd_per_hour"])


def test_the_frontier_surrounds_the_fleet_that_solve_prints(scenario: str, usd: float) -> None:
    text = as_json("frontier", scenario, "--show", "alternatives")
    assert text["alternatives"][0]["usd_per_hour"] == pytest.approx(usd)
    assert "simulated." in run("frontier", scenario, "--show", "alternatives").splitlines()[0]


def test_a_frontier_that_is_not_simulated_says_so(scenario: str) -> None:
    text = run("frontier", scenario, "--show", "limits", "--verify", "none")
    assert "not simulated." in text.splitlines()[0]


def test_losing_nothing_costs_what_solve_prints(scenario: str, usd: float) -> None:
    text = as_json("frontier", scenario, "--show", "resilience")
    assert text["resilience"][0]["usd_per_hour"] == pytest.approx(usd)


def test_every_point_of_a_sweep_says_whether_it_was_simulated(scenario: str, usd: float) -> None:
    def points(*more: str) -> Any:
        return as_json("sweep", scenario, "--rate", "12..14", "--steps", "2", *more)["points"]

    assert {p["simulated"] for p in points()} == {"no"}
    simulated = points("--verify", "simulate")
    assert {p["simulated"] for p in simulated} == {"yes"}
    assert simulated[0]["usd_per_hour"] == pytest.approx(usd)
