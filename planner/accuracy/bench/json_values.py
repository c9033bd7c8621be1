"""Looking into the JSON of a result file: what lies at a path, as a number, or a complaint naming it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.errors import InputError

Document = Mapping[str, object]
SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
    "s/token": 1.0,
    "ms": 1e-3,
    "milliseconds": 1e-3,
    "ms/token": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}


def dig(value: object, *path: str | int) -> object:
    """What lies at a path of keys and places; None where there is nothing."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
            value = value[key]
        else:
            return None
    return value


def section(value: object, *path: str | int) -> Document:
    """The object at a path; an empty one where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, Mapping) else {}


def items(value: object, *path: str | int) -> list[object]:
    """The list at a path; an empty one where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, list) else []


def text(value: object, *path: str | int) -> str:
    """The text at a path; empty where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def maybe(value: object, *path: str | int) -> float | None:
    """The positive finite number at a path, also written as text; None where there is none."""
    found = dig(value, *path)
    if isinstance(found, str):
        try:
            found = float(found)
        except ValueError:
            return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if math.isfinite(found) and found > 0 else None


def positive(values: object, name: str, where: str) -> float:
    """The number under a name; InputError where it is missing, not a number or not above 0."""
    value = dig(values, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("missing number", where=f"{where}: {name}", found=value)
    if not math.isfinite(value) or value <= 0:
        raise InputError("expected a number above 0", where=f"{where}: {name}", found=value)
    return float(value)
