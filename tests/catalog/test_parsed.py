"""YAML parsed once comes back as it was parsed, and what JSON would change is parsed each time."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from planner.catalog.parsed import LEAST_CHARACTERS, parsed_once
from planner.catalog.tables import read_yaml
from planner.errors import CatalogError
from planner.package_data import shipped_folder

CATALOGS = shipped_folder("catalogs")
YAML_FILES = sorted(CATALOGS.rglob("*.yaml"))
PADDING = "# " + "x" * LEAST_CHARACTERS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda p: p.stem)
def test_shipped_documents_come_back_as_they_were_parsed(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = read_yaml(path), read_yaml(path)
    monkeypatch.setenv("PLANNER_CACHE", "off")
    plain = read_yaml(path)
    assert first == second == plain
    assert repr(first) == repr(second) == repr(plain)


def test_a_document_is_parsed_once(folder: Path) -> None:
    calls: list[str] = []

    def parse(text: str) -> Any:
        calls.append(text)
        return {"day": datetime.date(2026, 5, 1), "n": [1, 1.0, True, None, "1"]}

    assert repr(parsed_once("yaml", PADDING, parse)) == repr(parsed_once("yaml", PADDING, parse))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "content", [{1: "a"}, {"at": datetime.datetime(2026, 5, 1, 12)}, {"\0date": "x"}, [{2: 3}]]
)
def test_what_json_would_change_is_parsed_each_time(folder: Path, content: object) -> None:
    calls: list[str] = []

    def parse(text: str) -> object:
        calls.append(text)
        return content

    assert parsed_once("yaml", PADDING, parse) == content
    assert parsed_once("yaml", PADDING, parse) == content
    assert len(calls) == 2


def test_a_wrong_file_is_reported_each_time(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text(f"{PADDING}\na: 1\na: 2\n")
    for _ in range(2):
        with pytest.raises(CatalogError, match="given twice"):
            read_yaml(file)
