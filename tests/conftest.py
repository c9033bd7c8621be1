"""Shared fixtures: the shipped catalog, and the flag that regenerates golden files."""

import os
from pathlib import Path

import pytest

from planner.catalog.store import Catalog, load_catalog

REPOSITORY = Path(__file__).parents[1]


def pytest_configure():
    """Output is as wide as without a terminal, also in parallel workers, which are reported a width."""
    os.environ.pop("COLUMNS", None)
    os.environ["PLANNER_CACHE"] = "off"  # what a test finds does not depend on earlier ones


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate-golden", action="store_true", help="rewrite golden files instead of comparing"
    )


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


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


def pytest_collection_modifyitems(items):
    """Exact golden files hold under the pinned dependencies alone: ``-m "not golden"`` leaves them out."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.golden)
