"""Fields of a scenario that had another name: read under both, so that older files and plans hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.scenario.fields import field_error

FIELDS = {"feeding": "routing", "beside": "compare_with"}
ROUTING_FIELDS = {"routing": "policy"}
OLD_NAMES = {new: old for old, new in (*FIELDS.items(), *ROUTING_FIELDS.items())}


def with_new_names(value: Any, names: Mapping[str, str]) -> Any:
    """``value`` with every old field name replaced; anything but a mapping as it is.

    Raises at the old field when the new one is given too.
    """
    if not isinstance(value, Mapping) or not any(old in value for old in names):
        return value
    for old, new in names.items():
        if old in value and new in value:
            message = f"{old} is the old name of {new}, which is given too: leave {old} out"
            raise field_error(old, value[old], message)
    return {names.get(k, k): v for k, v in value.items()}
