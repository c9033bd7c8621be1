"""The shipped catalog and calibration, read once in a test process; other folders are read as ever.

Both are frozen once read. Tests of reading itself give folders of their own, and commands in processes of
their own read everything. This is a plugin: whatever is imported after it reads the shared ones.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from planner.catalog import store
from planner.performance import factors

_read_catalog, _read_calibration = store.load_catalog, factors.load_calibration


@cache
def _shipped_catalog() -> store.Catalog:
    return _read_catalog()


@cache
def _shipped_calibration() -> factors.Calibration:
    return _read_calibration(_shipped_catalog())


def _load_catalog(root: str | Path | None = None) -> store.Catalog:
    return _shipped_catalog() if root is None else _read_catalog(root)


def _load_calibration(
    catalog: store.Catalog, user_file: str | Path | None = None
) -> factors.Calibration:
    if user_file is None and catalog is _shipped_catalog():
        return _shipped_calibration()
    return _read_calibration(catalog, user_file)


store.load_catalog, factors.load_calibration = _load_catalog, _load_calibration


@pytest.fixture(scope="session")
def catalog() -> store.Catalog:
    """The shipped catalog."""
    return _shipped_catalog()
