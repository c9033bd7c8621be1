"""Plans that several test files read, solved once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from planner.api import solve
from planner.catalog import store
from planner.plan.schema import Plan, read_plan

MAIN = "llama70b_qps50"


@pytest.fixture(scope="session")
def main_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the main scenario by the closed form, as the command line writes it."""
    folder = _shared_folder(tmp_path_factory.getbasetemp())
    return _plan_file(folder, "main-plan", "--verify", "none")


@pytest.fixture(scope="session")
def simulated_main_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the main scenario, simulated, as the command line writes it."""
    folder = _shared_folder(tmp_path_factory.getbasetemp())
    return _plan_file(folder, "simulated-main-plan")


@pytest.fixture(scope="session")
def shipped_plan(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Plan]:
    """Gives the plan of a shipped scenario by the closed form, by name; each is solved once in a run."""
    folder = _shared_folder(tmp_path_factory.getbasetemp())
    return lambda name: _shipped_plan(folder, name, store.load_catalog())


def _shared_folder(basetemp: Path) -> Path:
    """The folder that every worker of this run sees, from a worker's own ``basetemp``."""
    return basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp


def _plan_file(folder: Path, name: str, *options: str) -> Path:
    """What ``planner solve`` writes of the main scenario; the first worker that wants it solves it."""
    with _alone(folder, name) as path:
        if not path.exists():
            new = folder / f"{name}.new.json"
            call = [sys.executable, "-m", "planner", "solve", MAIN, *options]
            subprocess.run([*call, "--format", "json", "-o", str(new)], check=True)
            new.rename(path)
    return path


def _shipped_plan(folder: Path, name: str, catalog: store.Catalog) -> Plan:
    """A shipped scenario's plan by the closed form; the first worker that wants it solves it."""
    with _alone(folder, f"shipped-{name}") as path:
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_text(solve(name, catalogs=catalog, verify="none").to_json(), encoding="utf-8")
            new.rename(path)
    return read_plan(path)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[Path]:
    """The file of this name, which no other worker looks for meanwhile."""
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / f"{name}.json"
