"""What pydantic finds wrong with a scenario, in the scenario's own words and at its own line."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, nearest
from planner.scenario import (
    Arrivals,
    Assumptions,
    Feeding,
    Lengths,
    Limits,
    Prices,
    Scenario,
    Search,
    Service,
    Settings,
)
from planner.scenario_fleet import (
    Assurance,
    Buckets,
    Carbon,
    Existing,
    Failures,
    Horizon,
    Load,
    Migration,
    Quota,
    Sharing,
    Spot,
)
from planner.scenario_source import Loc, Source
from planner.units import counted

_DOCUMENTS: dict[str, type[BaseModel]] = {
    "search": Search,
    "prices": Prices,
    "limits": Limits,
    "assumptions": Assumptions,
    "arrivals": Arrivals,
    "feeding": Feeding,
    "settings": Settings,
    "prompt_tokens": Lengths,
    "output_tokens": Lengths,
    "quotas": Quota,
    "carbon": Carbon,
    "load": Load,
    "assurance": Assurance,
    "buckets": Buckets,
    "horizon": Horizon,
    "failures": Failures,
    "spot": Spot,
    "existing": Existing,
    "migration": Migration,
    "sharing": Sharing,
}


def _written(detail: ErrorDetails) -> object:
    """What the file says where that is empty or nothing."""
    return "null" if detail.get("input") is None else detail["input"]


_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "tuple_type": "a list",
    "list_type": "a list",
}


def complaint(error: ValidationError, source: Source) -> InputError:
    """The first complaint in the scenario's own words."""
    details = error.errors(include_url=False)
    details = [d for d in details if d["type"] != "too_short"] or details
    unknown = [d for d in details if d["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    loc = _own_path(detail, source)
    message, allowed, action = _wording(detail, loc)
    if len(details) > 1 and len({d["loc"][:3] for d in details}) > 1:
        action = "; ".join(filter(None, [action, _more(len(details) - 1)]))
    found = None if detail["type"] == "missing" else _written(detail)
    if detail["type"] == "field":
        found = detail["ctx"]["found"]
    if isinstance(found, tuple):
        found = list(found)
    if isinstance(found, str):
        found = repr(found)
    return InputError(
        message, where=source.where(*loc), found=found, allowed=allowed, action=action
    )


def _more(count: int) -> str:
    return f"{counted(count, 'more problem')} follow{'s' if count == 1 else ''}"


def _own_path(detail: ErrorDetails, source: Source) -> Loc:
    """Translate pydantic's location into the file's own path."""
    loc = list(detail["loc"])
    if detail["type"] == "field":
        loc.append(detail["ctx"]["field"])
    if "services" not in source.data and loc[:2] == ["services", 0]:
        loc = loc[2:]
    own: list[str | int] = []
    data: Any = source.data
    for part in loc:
        if isinstance(data, dict) and part in data:
            own.append(part)
            data = data[part]
        elif isinstance(data, dict) and detail["type"] == "missing" and part == loc[-1]:
            own.append(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            own.append(part)
            data = data[part]
    return tuple(own)


def _wording(detail: ErrorDetails, loc: Loc) -> tuple[str, str | None, str | None]:
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        parent = next((p for p in reversed(loc[:-1]) if isinstance(p, str)), "")
        fields = _fields_of(parent)
        return (
            f"unknown field {str(loc[-1] if loc else detail['loc'][-1])!r}",
            ", ".join(fields),
            nearest(str(loc[-1] if loc else detail["loc"][-1]), fields),
        )
    if kind == "missing":
        return f"the field {str(detail['loc'][-1])!r} is required", None, None
    field = str(loc[-1]) if loc else "this"
    if kind in ("finite_number", "float_type"):
        return f"{field} must be a number", "a plain finite number", None
    if kind in ("int_type", "int_from_float"):
        return f"{field} must be a whole number", "a whole number", None
    if kind in _KINDS:
        return f"{field} must be {_KINDS[kind]}", None, None
    if kind == "too_short":
        return f"{field} must hold at least one entry", None, None
    if message == "Input should be 'all'":
        return "give all, or a list of names", None, None
    message = message.replace("input should be", "must be").replace("tuple", "list")
    message = message.replace("Input should be", "must be").replace("Tuple", "the list")
    return message[0].lower() + message[1:], None, None


def _fields_of(parent: str) -> list[str]:
    document = _DOCUMENTS.get(parent)
    if document is not None:
        return list(document.model_fields)
    if parent == "services":
        return list(Service.model_fields)
    if parent == "slo":
        return ["ttft_p99", "tpot_p99", "ttft_p50", "tpot_p50", "itl_p99", "e2e_p99", "goodput"]
    return [*Service.model_fields, *(f for f in Scenario.model_fields if f != "name")]
