"""What pydantic finds wrong with a scenario, in the scenario's own words and at its own lines."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError
from planner.scenario.field_names import fields_of, suggestion
from planner.scenario.renames import OLD_NAMES
from planner.scenario.text.yaml_source import Loc, Source

Complaint = tuple[Loc, InputError]

_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "tuple_type": "a list",
    "list_type": "a list",
}
_TAKES = {
    "rate": "requests per second, such as 50, 20/s or 1200/min",
    "prompt_tokens": "tokens such as 1000 or 8k, or a distribution such as {mean: 1000, cv: 1}",
    "output_tokens": "tokens such as 500 or 2k, or a distribution such as {mean: 500, cv: 1}",
    "growth": "tokens such as 500 or 2k, or a distribution such as {mean: 500, cv: 1}",
}


def complaints(error: ValidationError, source: Source) -> tuple[Complaint, ...]:
    """Every complaint with the field it is about, one per field, in the order of the file.

    A list that is too short only because its entries are wrong is left out, and so is a missing field
    where an unknown one was meant to be it.
    """
    details = error.errors(include_url=False)
    details = [d for d in details if d["type"] != "too_short"] or details
    placed = _one_per_field([(own_path(d, source), d) for d in details])
    found = [(loc, _complaint(loc, detail, source)) for loc, detail in placed]
    meant = {suggestion(str(loc[-1]), _parent(loc)) for loc, d in placed if _is_unknown(d) and loc}
    kept = [
        (loc, problem)
        for (loc, problem), (_, detail) in zip(found, placed, strict=True)
        if detail["type"] != "missing" or str(detail["loc"][-1]) not in meant
    ]
    missing = {loc for loc, detail in placed if detail["type"] == "missing"}
    _list_fields_once(kept)
    return tuple(sorted(kept, key=lambda one: (one[0] in missing, source.line(*one[0]))))


def _list_fields_once(found: Sequence[Complaint]) -> None:
    """Of several messages with the same list of what is allowed, the first keeps it."""
    seen: set[str] = set()
    for _, problem in found:
        if problem.allowed in seen and problem.action is not None:
            problem.allowed = None
        elif problem.allowed is not None:
            seen.add(problem.allowed)


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden"


def _parent(loc: Loc) -> str:
    return next((p for p in reversed(loc[:-1]) if isinstance(p, str)), "")


def _one_per_field(
    placed: Sequence[tuple[Loc, ErrorDetails]],
) -> list[tuple[Loc, ErrorDetails]]:
    """The first complaint of each field; of a choice between kinds, the one that goes deepest."""
    inner = {loc[:n] for loc, _ in placed for n in range(len(loc))}
    first: dict[Loc, ErrorDetails] = {}
    for loc, detail in placed:
        if detail["type"] == "literal_error" and loc in inner:
            continue
        first.setdefault(loc, detail)
    return list(first.items())


def _complaint(loc: Loc, detail: ErrorDetails, source: Source) -> InputError:
    message, allowed, action = _wording(detail, loc)
    found: object = None if detail["type"] == "missing" else _written(detail)
    if detail["type"] == "field":
        found, action = detail["ctx"]["found"], detail["ctx"].get("action")
    if isinstance(found, tuple):
        found = list(found)
    if isinstance(found, str):
        found = repr(found)
    return InputError(
        message, where=source.where(*loc), found=found, allowed=allowed, action=action
    )


def _written(detail: ErrorDetails) -> object:
    """What the file says where that is empty or nothing."""
    return "null" if detail.get("input") is None else detail["input"]


def own_path(detail: ErrorDetails, source: Source) -> Loc:
    """Pydantic's location as the file's own path: flat files, shared and renamed fields included."""
    loc = list(detail["loc"])
    if detail["type"] == "field":
        loc.append(detail["ctx"]["field"])
    if "services" in source.data:
        in_services = len(loc) > 2 and loc[0] == "services"
        loc = loc[2:] if in_services and _is_shared(loc, source.data) else loc
    elif loc[:2] == ["services", 0]:
        loc = loc[2:]
    own: list[str | int] = []
    data: object = source.data
    for part in loc:
        name = _name_in(data, part)
        if isinstance(data, dict) and name in data:
            own.append(name)
            data = data[name]
        elif isinstance(data, dict) and detail["type"] == "missing" and part == loc[-1]:
            own.append(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            own.append(part)
            data = data[part]
    return tuple(own)


def _is_shared(loc: Sequence[str | int], data: dict[str, object]) -> bool:
    """Whether a service's field is above the services, where it holds for all of them."""
    services, index, field = data["services"], loc[1], loc[2]
    if not isinstance(services, (list, tuple)) or not isinstance(index, int):
        return False
    service = services[index] if index < len(services) else None
    given = isinstance(service, dict) and _name_in(service, field) in service
    return not given and _name_in(data, field) in data


def _name_in(data: object, part: str | int) -> str | int:
    """The name under which the file holds a field: its own, or the old one."""
    old = OLD_NAMES.get(str(part))
    if old is None or not isinstance(data, dict) or part in data:
        return part
    return old if old in data else part


def _wording(detail: ErrorDetails, loc: Loc) -> tuple[str, str | None, str | None]:
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        name, parent = str(loc[-1] if loc else detail["loc"][-1]), _parent(loc)
        meant = suggestion(name, parent)
        action = None if meant is None else f"did you mean {meant!r}?"
        return f"unknown field {name!r}", ", ".join(fields_of(parent)), action
    if kind == "missing":
        return f"the field {str(detail['loc'][-1])!r} is required", None, None
    field = str(loc[-1]) if loc else "this"
    if kind in ("finite_number", "float_type"):
        return f"{field} must be a number", _TAKES.get(field, "a plain finite number"), None
    if kind in ("int_type", "int_from_float"):
        return f"{field} must be a whole number", "a whole number", None
    if kind == "model_type" and field in _TAKES:
        return f"{field} is not a number of tokens", _TAKES[field], None
    if kind in _KINDS:
        return f"{field} must be {_KINDS[kind]}", None, None
    if kind == "too_short":
        return f"{field} must hold at least one entry", None, None
    if message == "Input should be 'all'":
        return "give all, or a list of names", None, None
    message = message.replace("input should be", "must be").replace("tuple", "list")
    message = message.replace("Input should be", "must be").replace("Tuple", "the list")
    return message[0].lower() + message[1:], None, None
