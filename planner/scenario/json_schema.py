"""The JSON Schema of a scenario file, for editors: what a person may write, flat files included.

Pydantic's own schema says what a read scenario is like; a file may also write one name for a list,
``8k`` tokens, ``20/s``, durations with a unit, and the fields of one service at the top.
"""

from __future__ import annotations

from typing import Any

from planner.scenario.renames import FIELDS, ROUTING_FIELDS
from planner.scenario.schema import Scenario
from planner.scenario.search.speculation import METHODS
from planner.scenario.slo import CLASS_NAME, METRICS
from planner.scenario.task import POOLING

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Scenario of llm-fleet-planner"
REQUIRED = ("model", "rate", "prompt_tokens", "output_tokens", "slo")
JOB = ("model", "job", "prompt_tokens", "output_tokens")
POOLED_JOB = ("model", "task", "job", "prompt_tokens")
POOLED = ("model", "task", "rate", "prompt_tokens", "slo")
CLASSES = ("model", "classes")  # lengths, targets and shares of the rate are theirs
RECORDED = ("model", "rate", "conversations", "slo")  # conversations of a trace bring their lengths
_DURATION = {"type": ["number", "string"], "description": "2s, 100ms, 30m, or seconds"}
_TOKENS = {"type": "string", "pattern": r"^\s*[0-9.]+\s*[kKmM](\s*tokens)?\s*$"}
_RATE = {
    "type": "string",
    "pattern": r"^\s*[0-9.]+([eE][+-]?[0-9]+)?\s*[kKM]?\s*"
    r"(((req|requests?|conversations?|sessions?|calls?)\s*)?(/|per)\s*[a-z]+|qps|rps)\s*$",
}
_PERCENT = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?%\s*$"}
_SIZE = {"type": "string", "pattern": r"^\s*[0-9.]+([eE][+-]?[0-9]+)?\s*[kKmMgGtT]?i?[bB]\s*$"}
_DURATIONS = (
    ("Routing", "start_up"),
    ("Job", "within"),
    ("KvLinkChoice", "latency"),
    ("Assumptions", "response_time"),
)

Schema = dict[str, Any]
"""A JSON Schema as plain data: keywords of a foreign standard, nested at any depth."""


def scenario_schema() -> Schema:
    """The schema, as plain JSON data."""
    written = Scenario.model_json_schema(ref_template="#/$defs/{model}")
    defs: dict[str, Schema] = {k: _lenient(v) for k, v in written.pop("$defs").items()}
    for document, field in _DURATIONS:
        properties = defs[document]["properties"]
        properties[field] = {**_described(properties[field]), **_DURATION}
    defs["Lengths"] = _lengths(defs["Lengths"])
    defs["Slo"] = _slo()
    probability = defs["Assurance"]["properties"]["probability"]
    defs["Assurance"] = {"anyOf": [probability, _PERCENT, {"const": "none"}, defs["Assurance"]]}
    defs["Ranged"] = {"anyOf": [defs["Ranged"]["properties"]["mid"], defs["Ranged"]]}
    _conversations(defs)
    _classes(defs["RequestClass"])
    service = defs["Service"]
    service["properties"]["rate"] = _or_text(service["properties"]["rate"], _RATE)
    service["properties"]["model"].pop("anyOf", None)
    service["properties"]["model"]["type"] = ["string", "object"]
    job = defs["Job"]["properties"]
    job["requests"] = _or_text(job["requests"], _TOKENS)
    search = defs["Search"]["properties"]
    search["disaggregation"] = _or_text(search["disaggregation"], {"type": "boolean"})
    search["reserved_memory"] = {"type": ["number", "string"], "description": "4GiB, or bytes"}
    search["speculative"] = _speculative(search["speculative"])
    defs["Speculation"].pop("required")
    _accept_old_names(service["properties"], FIELDS)
    _accept_old_names(defs["Routing"]["properties"], ROUTING_FIELDS)
    own = _lenient(written)["properties"]
    _accept_old_names(own, FIELDS)
    own["services"] = {
        "type": "array",
        "minItems": 1,
        "items": {k: v for k, v in service.items() if k != "required"},
        "description": "Several services; fields above them hold for each that has no own.",
    }
    defs.pop("Service")
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "description": "A capacity question: one service at the top, or several under services.",
        "type": "object",
        "properties": {**service["properties"], **own},
        "additionalProperties": False,
        "anyOf": [
            {"required": ["services"]},
            {"required": list(REQUIRED)},
            {"required": list(JOB)},
            *(
                {"required": list(fields), "properties": {"task": {"enum": list(POOLING)}}}
                for fields in (POOLED, POOLED_JOB)
            ),
            {"required": list(RECORDED)},
            {"required": list(CLASSES)},
        ],
        "$defs": {k: v for k, v in sorted(defs.items()) if k != "Target"},
    }


def _speculative(written: Schema) -> Schema:
    """One way to draft or a list of them, each a method's name or its fields."""
    one = {"anyOf": [{"enum": list(METHODS)}, {"$ref": "#/$defs/Speculation"}]}
    either = [*one["anyOf"], {"type": "array", "minItems": 1, "items": one}]
    return {**_described(written), "anyOf": either}


def _lenient(node: Any) -> Any:
    """Every list as a list, or one entry of it; defaults and titles left out."""
    if isinstance(node, list):
        return [_lenient(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {
        k: {name: _lenient(v) for name, v in value.items()}
        if k == "properties"
        else _lenient(value)
        for k, value in node.items()
        if k not in ("title", "default")
    }
    items = inner.get("items")
    if inner.get("type") == "array" and isinstance(items, dict) and "$ref" not in items:
        inner.pop("minItems", None)
        return {"anyOf": [inner, {k: v for k, v in items.items() if k != "description"}]}
    return inner


def _described(schema: Schema) -> Schema:
    return {k: v for k, v in schema.items() if k == "description"}


def _or_text(schema: Schema, text: Schema) -> Schema:
    return {"anyOf": [schema, text]}


def _lengths(schema: Schema) -> Schema:
    """A number of tokens, or one of the ways to describe a distribution."""
    tokens = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TOKENS]}
    schema["properties"]["mean"] = tokens
    schema["properties"]["max"] = tokens
    schema["properties"]["quantiles"] = {"type": "object", "additionalProperties": tokens}
    return {"anyOf": [tokens, schema]}


def _conversations(defs: dict[str, Schema]) -> None:
    """Turns, pauses, tokens and sizes as numbers or as text with a unit, and short for a mean."""
    talk, turns, pause = (defs[d]["properties"] for d in ("Conversations", "Turns", "ThinkTime"))
    for field in ("shared_system_prompt", "max_context"):
        talk[field] = {**_described(talk[field]), **_or_text(talk[field], _TOKENS)}
    for field in ("mean", "max"):
        pause[field] = _DURATION
    pause["quantiles"] = {"type": "object", "additionalProperties": _DURATION}
    defs["Turns"] = {"anyOf": [turns["mean"], defs["Turns"]]}
    defs["ThinkTime"] = {"anyOf": [_DURATION, defs["ThinkTime"]]}
    offload = defs["KvOffload"]["properties"]
    for field in ("host_memory", "disk"):
        offload[field] = _or_text(offload[field], _SIZE)


def _classes(request_class: Schema) -> None:
    """A share of the rate or a rate, as text with a unit too; lengths may be the service's."""
    stated = request_class["properties"]
    stated["rate"] = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _RATE]}
    stated["slo"] = {"$ref": "#/$defs/Slo"}
    request_class["required"] = ["name"]
    request_class["oneOf"] = [{"required": ["share"]}, {"required": ["rate"]}]


def _slo() -> Schema:
    return {
        "type": "object",
        "description": "Latency targets such as ttft_p99: 2s, tpot_p99: 100ms.",
        "properties": {"goodput": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}},
        "patternProperties": {
            rf"^({CLASS_NAME}/)?({'|'.join(METRICS)})_p[0-9]{{1,2}}(\.[0-9]+)?$": _DURATION
        },
        "additionalProperties": False,
        "minProperties": 1,
    }


def _accept_old_names(properties: dict[str, Schema], names: dict[str, str]) -> None:
    for old, new in names.items():
        if new in properties:
            properties[old] = {**properties[new], "deprecated": True}
