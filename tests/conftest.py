"""What every test has: the shared catalog and plans, and the flag that regenerates golden files."""

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

# in this order: the second, like every test, reads what the first shares
pytest_plugins = ("shared_data", "solved_once")

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
def repository() -> Path:
    return REPOSITORY


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
