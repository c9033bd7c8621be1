"""What is wrong with a request's body, in the words that scenario files get."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from planner.errors import nearest
from planner.web.problems import Json, not_json, problem

NEED_A_BODY = "send a JSON object; /openapi.json describes its fields"
NEED_A_TYPE = "say that it is JSON: Content-Type: application/json"
_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a JSON object",
    "model_attributes_type": "a JSON object",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def body_problems(
    found: Sequence[Mapping[str, Any]], body: object, fields: Collection[str]
) -> list[Json]:
    """A problem for each of pydantic's complaints. ``fields``: those of the route's requests."""
    return [_problem(detail, body, fields) for detail in found]


def _problem(detail: Mapping[str, Any], body: object, fields: Collection[str]) -> Json:
    kind, loc = detail["type"], tuple(detail["loc"])
    if kind == "json_invalid":
        return not_json(detail["ctx"]["error"], loc[1], str(body), NEED_A_BODY)
    given = detail.get("input")
    if loc == ("body",):
        if kind == "missing":
            return problem("the request has no body", action=NEED_A_BODY)
        untyped = isinstance(given, bytes)
        return problem(
            "the body is not read as JSON" if untyped else "the body must be a JSON object",
            found=None if untyped else repr(given)[:200],
            action=NEED_A_TYPE if untyped else NEED_A_BODY,
        )
    field = ".".join(map(str, loc[1:]))
    if kind == "missing":
        return problem(f"the field {field!r} is required", field=field, allowed=", ".join(fields))
    if kind == "extra_forbidden":
        return problem(
            f"unknown field {field!r}",
            field=field,
            found=repr(given)[:200],
            allowed=", ".join(fields),
            action=nearest(field, fields),
        )
    what, allowed = _said(detail)
    return problem(f"{field} {what}", field=field, found=repr(given)[:200], allowed=allowed)


def _said(detail: Mapping[str, Any]) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}", None
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        return "is out of range", f"{word} {context[name]:g}"
    if kind == "literal_error":
        return "is not one of its values", str(context["expected"])
    if kind in ("too_short", "string_too_short"):
        return "is empty", None
    if kind in ("too_long", "string_too_long"):
        return "is too long", f"at most {context['max_length']:,}"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return message[0].lower() + message[1:], None
