"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "llm-fleet-planner"


def package_version() -> str:
    """Return the installed version, or "0.0.0" for a source tree that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0.0.0"
