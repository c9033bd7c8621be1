"""Packages that only some reports need: imported on demand, missed with the command that helps."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType

from planner.errors import OutputError


def need(module: str, purpose: str, extra: str = "report") -> ModuleType:
    """Import ``module`` or raise OutputError saying which extra to install for ``purpose``.

    What the package logs below an error while it is imported, such as a home folder that is read-only,
    changes no report and is not shown.
    """
    logger = logging.getLogger(module)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module(module)
    except ImportError:
        raise OutputError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which is not installed",
            action=f"pip install 'llm-fleet-planner[{extra}]'",
        ) from None
