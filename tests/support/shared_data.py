"""The shipped catalog and calibration, read once in a test process; other folders are read as ever.

Both are frozen once read. Tests of reading itself give folders of their own, and commands in processes of
their own read everything.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

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


def share() -> None:
    """Let every module that is imported from now on read the shipped data once."""
    store.load_catalog, factors.load_calibration = _load_catalog, _load_calibration
