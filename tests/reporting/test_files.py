import os
import sys

import pytest

from planner.errors import InputError, OutputError
from planner.reporting import optional_packages
from planner.reporting.files import write_file
from planner.reporting.formats.csv_table import pick
from planner.reporting.plan.plan_document import plan_document


def test_a_file_is_written_whole(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    write_file(target, "naïve\n")
    assert target.read_bytes() == "naïve\n".encode()
    write_file(target, b"\x00\x01")
    assert target.read_bytes() == b"\x00\x01"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_new_file_gets_the_usual_mode(tmp_path):
    (tmp_path / "plain").write_text("")
    write_file(tmp_path / "ours", "")
    modes = {(tmp_path / n).stat().st_mode for n in ("plain", "ours")}
    assert len(modes) == 1


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_file(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_places_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        write_file(tmp_path / "none" / "a.txt", "")
    with pytest.raises(OutputError, match="is a folder"):
        write_file(tmp_path, "")
    with pytest.raises(OutputError, match="folder does not exist"):
        write_file("/dev/null/a.txt", "")


def test_read_only_places_are_refused(tmp_path, monkeypatch):
    if os.geteuid() == 0:  # root may write whatever the mode says
        monkeypatch.setattr(os, "access", lambda path, mode: bool(path.stat().st_mode & 0o200))
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o444)
    with pytest.raises(OutputError, match="read-only"):
        write_file(target, "new")


def test_devices_are_written_through():
    write_file("/dev/null", "gone")


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(OutputError, match="'xlsxwriter'") as error:
        optional_packages.need("xlsxwriter", "the spreadsheet report")
    assert error.value.action == "pip install 'llm-fleet-planner[report]'"


def test_an_unknown_table_names_those_there_are(findings):
    with pytest.raises(InputError, match="no such table") as error:
        pick(plan_document(findings), "orders")
    assert error.value.action == "did you mean 'order'?"
    assert "ways_to_pay" in error.value.allowed
