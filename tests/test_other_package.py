"""Another package of the same module name is noticed; both commands start."""

import subprocess
import sys

from planner.cli.main import main
from planner.other_package import packages_mixed


def test_alone_nothing_is_said(tmp_path):
    assert packages_mixed(tmp_path) is None
    assert packages_mixed(tmp_path / "nowhere") is None


def test_the_other_package_is_named(tmp_path):
    (tmp_path / "llm_d_planner-0.3.1.dist-info").mkdir()
    assert "pip uninstall llm-d-planner" in packages_mixed(tmp_path)


def test_version_says_when_the_two_are_mixed(capsys, monkeypatch):
    monkeypatch.setattr("planner.cli.main.packages_mixed", lambda: "both are there")
    assert main(["--version"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("planner ")
    assert err == "warning: both are there\n"


def test_the_first_import_says_it(repository):
    code = (
        "import planner.other_package as o\n"
        "import importlib, planner, warnings\n"
        "o.packages_mixed = lambda: 'both are there'\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    importlib.reload(planner)\n"
        "print([str(w.message) for w in caught])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['both are there']\n"


def test_the_module_is_a_command(repository):
    done = subprocess.run(
        [sys.executable, "-m", "planner", "--version"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("planner ")


def test_the_second_command_name(repository):
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    assert 'fleet-planner = "planner.cli.main:run"' in text
