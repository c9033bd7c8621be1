"""How deployments fared is kept between runs: the same plans to the digit, and never a stale one."""

import json
from pathlib import Path

import pytest

from planner import cache_folder
from planner.cli.main import main
from planner.fleet.candidates import replica
from planner.fleet.candidates.candidate import Context, Rejection
from planner.fleet.candidates.known import SpannedLayout
from planner.fleet.candidates.replica import LoadedReplica
from planner.plan.schema import Plan
from planner.session import Session
from planner.solving.options import SolveOptions

SCENARIO = "chat_8b_small_gpus"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    return tmp_path


def _solved(scenario: str = SCENARIO, calibration: Path | None = None) -> Plan:
    session = Session.open(calibration=calibration, options=SolveOptions(verify="none"))
    return session.solve(session.read(scenario))


def _text(plan: Plan) -> str:
    return plan.model_dump_json(exclude={"provenance": {"run"}})


@pytest.mark.parametrize("scenario", [SCENARIO, "llama70b_disaggregated", "fleet_short_stock"])
def test_the_second_run_gives_the_same_plan(folder: Path, scenario: str) -> None:
    first, second = _solved(scenario), _solved(scenario)
    assert _text(first) == _text(second)
    assert list(folder.glob("sized-*"))


def test_the_second_run_sizes_nothing_but_what_it_chose(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _solved()
    tried: list[str] = []
    real = replica.loaded

    def counted(layout: SpannedLayout, context: Context) -> LoadedReplica | Rejection:
        tried.append(layout.label)
        return real(layout, context)

    monkeypatch.setattr("planner.fleet.candidates.enumerate.loaded", counted)
    again = _solved()
    assert _text(again) == _text(plan)
    chosen = {g.label for s in again.services for g in s.replica_groups}
    assert set(tried) <= chosen


def test_a_changed_program_trusts_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _solved()
    before = {p.name for p in folder.glob("sized-*")}
    monkeypatch.setattr(cache_folder, "program", lambda: "another")
    _solved()
    assert {p.name for p in folder.glob("sized-*")} - before


def test_rows_of_another_shape_are_sized_again(folder: Path) -> None:
    plan = _solved()
    for file in folder.glob("sized-*"):
        key = file.name.removeprefix("sized-").removesuffix(".json.z")
        known = cache_folder.load("sized", key)
        assert isinstance(known, dict)
        cache_folder.save("sized", key, {name: [1, "x"] for name in known})
    assert _text(_solved()) == _text(plan)


def test_no_cache_keeps_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", SCENARIO, "--verify", "none", "--format", "json", "--no-cache"]) == 0
    assert not list(folder.iterdir())
    assert json.loads(capsys.readouterr().out)["status"] == "optimal"
    assert main(["solve", SCENARIO, "--verify", "none", "--format", "json"]) == 0
    assert list(folder.iterdir())
