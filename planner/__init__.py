"""Capacity planning for LLM serving: the provably cheapest GPU fleet that holds its targets.

``planner.solve("llama70b_qps50")`` answers a scenario; ``compare``, ``sweep``, ``report``, ``batch``
and ``explain`` do what the commands of the same names do. All of them are loaded on first use.
"""

from typing import Any

_API = ("batch", "compare", "explain", "report", "solve", "sweep")

__all__ = ["__version__", *_API]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("llm-fleet-planner")
        except PackageNotFoundError:  # a source tree that was never installed
            return "0.0.0"
    if name in _API:
        from planner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
