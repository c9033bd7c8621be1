"""Capacity planning for LLM serving: the provably cheapest GPU fleet that holds its targets.

``planner.solve("llama70b_qps50")`` answers a scenario; ``compare``, ``sweep``, ``report``, ``batch``
and ``explain`` do what the commands of the same names do. All of them are loaded on first use.
"""

import warnings
from typing import TYPE_CHECKING, Any

from planner.other_package import packages_mixed as _packages_mixed

if TYPE_CHECKING:
    from planner.api import batch, compare, explain, report, solve, sweep

    __version__: str

_both = _packages_mixed()
if _both is not None:
    warnings.warn(_both, stacklevel=2)

__all__ = ["__version__", "batch", "compare", "explain", "report", "solve", "sweep"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from planner.version import package_version

        return package_version()
    if name in __all__:
        from planner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
