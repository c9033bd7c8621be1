"""A file named by --set starts at the working directory; one named in the text at its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.batches.tasks import collect
from planner.scenario.changes import read_change
from planner.scenario.path_fields import from_working_directory
from planner.scenario.reader import read_scenario
from planner.scenario.text.changes import scenario_text

SCENARIO = """model: meta-llama/Llama-3.1-8B-Instruct
rate: 5
prompt_tokens: 1000
output_tokens: 100
slo: {ttft_p99: 2s}
prices: {file: quotes.csv}
"""
PRICES = "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source\n"
ROW = "a,x,n,h100-sxm-80gb,1,on-demand,{},2026-11-01,quote\n"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A folder with the scenario and its quotes, and the working directory with others."""
    home, here = tmp_path / "home", tmp_path / "here"
    for folder, usd in ((home, 1), (here, 2)):
        folder.mkdir()
        (folder / "quotes.csv").write_text(PRICES + ROW.format(usd))
    (home / "scenario.yaml").write_text(SCENARIO)
    (home / "own.csv").write_text(PRICES + ROW.format(3))
    monkeypatch.chdir(here)
    return home, here


def file_of(home: Path, *settings: str) -> str | None:
    changes = [read_change(text) for text in settings]
    return read_scenario(home / "scenario.yaml", None, changes).prices.file


def test_the_working_directory_comes_first(folders: tuple[Path, Path]) -> None:
    home, here = folders
    assert file_of(home) == "quotes.csv"
    assert file_of(home, "prices.file=quotes.csv") == str(here / "quotes.csv")
    assert file_of(home, "prices={file: quotes.csv}") == str(here / "quotes.csv")
    assert f"{here}/quotes.csv" in scenario_text(
        home / "scenario.yaml", [read_change("prices.file=quotes.csv")]
    )


def test_what_is_not_there_is_read_as_in_the_file(folders: tuple[Path, Path]) -> None:
    home, _ = folders
    assert file_of(home, "prices.file=own.csv") == "own.csv"


def test_in_the_scenarios_own_folder_a_path_stays_short(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = folders
    monkeypatch.chdir(home)
    assert file_of(home, "prices.file=quotes.csv") == "quotes.csv"


def test_a_grid_has_files_of_the_working_directory_too(folders: tuple[Path, Path]) -> None:
    home, here = folders
    tasks = collect(home / "scenario.yaml", None, ["prices.file=quotes.csv,own.csv"], "x")
    assert [t.changes["prices.file"] for t in tasks] == [str(here / "quotes.csv"), "own.csv"]


@pytest.mark.parametrize(
    ("field", "name", "whole"),
    [
        ("load.series", "quotes.csv", True),
        ("services.chat.load.series", "quotes.csv", True),
        ("prompt_tokens.trace", "quotes.csv", True),
        ("conversations.trace", "quotes.csv", True),
        ("model", "quotes.csv", False),
        ("model", "checkpoint", True),
        ("model", "checkpoint/config.json", True),
        ("name", "quotes.csv", False),
        ("prices.file", "a\0b", False),
        ("prices.file", "x" * 5000, False),
        ("prices.file", "", False),
    ],
)
def test_only_fields_that_take_files(
    folders: tuple[Path, Path], field: str, name: str, whole: bool
) -> None:
    home, here = folders
    (here / "checkpoint").mkdir()
    (here / "checkpoint" / "config.json").write_text("{}")
    found = from_working_directory(field, name, str(home / "scenario.yaml"))
    assert found == (str(here / name) if whole else name)
