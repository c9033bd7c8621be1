"""The version of the installed package."""

from __future__ import annotations

from functools import lru_cache

DISTRIBUTION = "llm-fleet-planner"


@lru_cache(maxsize=1)
def package_version() -> str:
    """Return the installed version, or "0.0.0" for a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0.0.0"
