"""Shared fixtures: the shipped catalog, and the flag that regenerates golden files."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import shared_data

shared_data.share()

import solved_once  # noqa: E402  # what it imports reads the shared catalog

from planner.catalog.store import Catalog, load_catalog  # noqa: E402  # the shared one
from planner.plan.schema import Plan  # noqa: E402

REPOSITORY = Path(__file__).parents[1]
COLLECT_AFTER = (
    50_000  # objects; the interpreter's 700 would look through ten thousand tests' often
)


def pytest_configure():
    """Output is as wide as without a terminal, also in parallel workers, which are reported a width."""
    os.environ.pop("COLUMNS", None)
    os.environ["PLANNER_CACHE"] = "off"  # what a test finds does not depend on earlier ones
    _keep_bytecode_elsewhere()
    gc.set_threshold(COLLECT_AFTER)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job hands this on
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_bytecode_elsewhere():
    """Where no bytecode may lie beside the sources, commands of tests still need not compile each time."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = f"{tempfile.gettempdir()}/planner-tests-bytecode-{getattr(os, 'getuid', int)()}"
        sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", folder)
        sys.dont_write_bytecode = False


def pytest_collection_finish():
    """What was imported and collected stays to the end: it is not looked through for garbage."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate-golden", action="store_true", help="rewrite golden files instead of comparing"
    )
    parser.addoption("--long", action="store_true", help="also run tests that take many minutes")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def main_plan(tmp_path_factory) -> Path:
    """The plan of the main scenario by the closed form, as the command line writes it."""
    folder = solved_once.shared_folder(tmp_path_factory.getbasetemp())
    return solved_once.plan_file(folder, "main-plan", "--verify", "none")


@pytest.fixture(scope="session")
def simulated_main_plan(tmp_path_factory) -> Path:
    """The plan of the main scenario, simulated, as the command line writes it."""
    folder = solved_once.shared_folder(tmp_path_factory.getbasetemp())
    return solved_once.plan_file(folder, "simulated-main-plan")


@pytest.fixture(scope="session")
def shipped_plan(tmp_path_factory) -> Callable[[str], Plan]:
    """Gives the plan of a shipped scenario by the closed form, by name; each is solved once in a run."""
    folder = solved_once.shared_folder(tmp_path_factory.getbasetemp())
    return lambda name: solved_once.shipped_plan(folder, name, load_catalog())


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch) -> None:
    """Commands one after another keep between them what users' keep, in an empty folder of this test."""
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def golden(request):
    """Compare text with a golden file, or rewrite it with --regenerate-golden."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--regenerate-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"{path} is missing: run pytest --regenerate-golden"
        assert text == path.read_text(encoding="utf-8")

    return check


def pytest_collection_modifyitems(config, items):
    """Mark golden tests, exact under the pinned dependencies alone; leave out long ones without --long."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.golden)
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
