"""Proved programs are kept by all that they hold: equal ones are found, any other is solved."""

import dataclasses
from pathlib import Path

import pytest

from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Solution
from planner.fleet.program.program import solve
from planner.fleet.program.solutions import (
    ProvedSolutions,
    SolutionStore,
    plain,
    problem_text,
    restored,
)
from planner.kept_rows import KeptRows

PROBLEM = Problem(
    demands=(Demand(key="chat", service="chat", rates_qps=(7.0, 3.0)),),
    kinds=(
        ReplicaKind(key="a", gpu="x", gpus=1, capacity_qps={"chat": 2.0}),
        ReplicaKind(key="b", gpu="x", gpus=2, capacity_qps={"chat": 4.5}),
    ),
    offers=(
        NodeOffer(key="one", gpu="x", gpus_per_node=1, usd_per_hour=1.0),
        NodeOffer(key="two", gpu="x", gpus_per_node=2, usd_per_hour=1.9),
    ),
    period_hours=(300.0, 430.0),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def _never() -> Solution:
    raise AssertionError("solved twice")


def test_a_solution_survives_plain_values() -> None:
    solution = solve(PROBLEM)
    assert solution.status == "optimal"
    assert restored(plain(solution)) == solution


@pytest.mark.parametrize("row", [None, [], [1, 2], [[1] * 5] * 9, {"a": 1}])
def test_other_values_are_no_solution(row: object) -> None:
    assert restored(row) is None


def test_a_program_is_solved_once_for_later_runs_too() -> None:
    store = SolutionStore("program")
    found = store.of("question").of(PROBLEM, "exactly", lambda: solve(PROBLEM))
    assert store.of("question").of(PROBLEM, "exactly", _never) == found
    store.save()
    later = SolutionStore("program")
    assert later.of("question").of(PROBLEM, "exactly", _never) == found


def test_what_was_not_proved_is_not_kept() -> None:
    kept = ProvedSolutions(KeptRows("solved", "key", lasts=False))
    stopped = Solution("feasible", 10.0, 9.0, 0.1)
    assert kept.of(PROBLEM, "in a second", lambda: stopped) is stopped
    again = Solution("feasible", 9.5, 9.0, 0.05)
    assert kept.of(PROBLEM, "in a second", lambda: again) is again


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Problem)])
def test_every_field_of_a_problem_tells_it_apart(field: str) -> None:
    other = {
        "demands": (Demand(key="chat", service="chat", rates_qps=(7.0, 3.5)),),
        "kinds": PROBLEM.kinds[:1],
        "offers": PROBLEM.offers[:1],
        "limits": dataclasses.replace(PROBLEM.limits, max_gpus=3),
        "period_hours": (300.0, 431.0),
        "resilience": dataclasses.replace(PROBLEM.resilience, replicas=1),
        "serve_all": False,
        "share_nodes": False,
        "overlap_hours": 1.0,
        "one_place": frozenset({"h100"}),
    }
    changed = dataclasses.replace(PROBLEM, **{field: other[field]})
    assert problem_text(changed) != problem_text(PROBLEM)
