"""Where shipped catalogs, scenarios and traces lie: inside a wheel, or beside a source tree."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_WHEEL = _PACKAGE / "_data"


def shipped_folder(name: str) -> Path:
    """Return the shipped folder ``name`` ("catalogs", "scenarios"); it may not exist."""
    inside = _WHEEL / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
