"""Whether the content of a file is a scenario, where something else was expected or may be."""

from __future__ import annotations

import json
import re

_YAML = re.compile(rb"^(?:model|services)[ \t]*:", re.MULTILINE)
_PLAN = re.compile(rb"^schema_version[ \t]*:", re.MULTILINE)


def holds_scenario(data: bytes) -> bool:
    """Whether the content of a JSON file is a scenario: an object that names a model or services."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    named = isinstance(found, dict) and {"model", "services"} & found.keys()
    return bool(named) and "schema_version" not in found


def looks_like_scenario(data: bytes) -> bool:
    """Whether it is a scenario in JSON, or YAML text with a model or services at its top."""
    return holds_scenario(data) or (bool(_YAML.search(data)) and not _PLAN.search(data))
