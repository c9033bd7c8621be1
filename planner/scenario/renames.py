"""Fields of a scenario that had another name: read under both, so that older files and plans hold."""

from __future__ import annotations

from collections.abc import Mapping

from planner.scenario.fields import field_error

FIELDS = {"feeding": "routing", "beside": "compare_with"}
ROUTING_FIELDS = {"routing": "policy"}
OLD_NAMES = {new: old for old, new in (*FIELDS.items(), *ROUTING_FIELDS.items())}


def with_new_names(value: object, names: Mapping[str, str]) -> object:
    """``value`` with every old field name replaced; anything but a mapping as it is.

    Raises at the old field when the new one is given too.
    """
    return renamed(value, names) if isinstance(value, Mapping) else value


def renamed(fields: Mapping[str, object], names: Mapping[str, str]) -> Mapping[str, object]:
    """As ``with_new_names``, of a mapping."""
    if not any(old in fields for old in names):
        return fields
    for old, new in names.items():
        if old in fields and new in fields:
            message = f"{old} is the old name of {new}, which is given too: leave {old} out"
            raise field_error(old, fields[old], message)
    return {names.get(k, k): v for k, v in fields.items()}
