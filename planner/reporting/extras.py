"""Packages that only some reports need: imported on demand, missed with the command that helps."""

from __future__ import annotations

import importlib
from types import ModuleType

from planner.errors import OutputError


def need(module: str, purpose: str) -> ModuleType:
    """Import ``module`` or raise OutputError saying what to install for ``purpose``."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise OutputError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which is not installed",
            action="pip install 'llm-fleet-planner[report]'",
        ) from None
