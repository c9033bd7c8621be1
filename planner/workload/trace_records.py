"""Requests that a file holds as nested records: AIPerf, inference-perf and OpenTelemetry's GenAI spans.

Each kind is turned into plain rows with a time, prompt and output tokens, and the conversation where the
record names one. OpenTelemetry's attributes are those of its GenAI semantic conventions
(``gen_ai.usage.input_tokens``, ``gen_ai.conversation.id``), and the older names that vLLM's own spans
use; spans may come as OTLP/JSON or one object a line with plain attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from planner.workload.trace_columns import NANOSECONDS, TraceLayout

Row = Mapping[str, object]

_INPUTS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUTS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CONVERSATIONS = ("gen_ai.conversation.id", "session.id", "conversation.id")
_SPAN_MARKS = frozenset(("attributes", "spanId", "span_id", "traceId"))
_SPAN_TIMES = ("startTimeUnixNano", "start_time_unix_nano", "start_time")


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of nested record. ``flat``: the record as a plain row, empty for what is no request,
    None for a request that failed or was a warm-up.
    """

    layout: TraceLayout
    flat: Callable[[Row], Row | None]


def record_kind(row: Row) -> RecordKind | None:
    """The kind of nested record a row is; None for a plain row."""
    if "metrics" in row:
        return _AIPERF
    if isinstance(row.get("info"), Mapping) and "start_time" in row:
        return _INFERENCE_PERF
    if any(name in row for name in _SPAN_TIMES) and not _SPAN_MARKS.isdisjoint(row):
        return _OTLP if any(name in row for name in _SPAN_TIMES[:2]) else _SPANS
    return None


def spans_of(row: Row) -> Iterator[Row]:
    """The spans of one OTLP/JSON object; any other row as it is."""
    resources = row.get("resourceSpans")
    if not isinstance(resources, list):
        yield row
        return
    for resource in resources:
        for scope in _list(resource, "scopeSpans"):
            yield from (span for span in _list(scope, "spans") if isinstance(span, Mapping))


def _list(value: object, key: str) -> list[object]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _aiperf(row: Row) -> Row | None:
    metadata, metrics = row.get("metadata"), row.get("metrics")
    if not isinstance(metadata, Mapping) or not isinstance(metrics, Mapping):
        return row
    phase = metadata.get("benchmark_phase", "profiling")
    if row.get("error") or metadata.get("was_cancelled") or phase != "profiling":
        return None
    flat: dict[str, object] = {}
    for name in ("input_sequence_length", "output_sequence_length"):
        cell = metrics.get(name)
        if isinstance(cell, Mapping):
            flat[name] = cell.get("value")
    if "request_start_ns" in metadata:
        flat["request_start_ns"] = metadata["request_start_ns"]
    if "turn_index" in metadata:  # one session of a conversation of the data set
        flat["conversation"] = metadata.get("x_correlation_id") or metadata.get("conversation_id")
    return flat


def _inference_perf(row: Row) -> Row | None:
    info = row.get("info")
    if row.get("error") or not isinstance(info, Mapping):
        return None
    sent, answered = info.get("request_metrics"), info.get("response_metrics")
    text = sent.get("text") if isinstance(sent, Mapping) else None
    prompt = text.get("input_tokens") if isinstance(text, Mapping) else info.get("input_tokens")
    output = answered if isinstance(answered, Mapping) else info
    tokens = output.get("output_tokens")
    if not tokens:
        return None
    session = row.get("session_id") or info.get("session_id")
    return {
        "start_time": row["start_time"],
        "input_tokens": prompt,
        "output_tokens": tokens,
        "conversation": session,
    }


def _span(row: Row) -> Row | None:
    attributes = _attributes(row.get("attributes"))
    prompt, output = (_first(attributes, names) for names in (_INPUTS, _OUTPUTS))
    if prompt is None:
        return {}  # a tool, an agent, or a span of something else
    if not output:
        return None
    time = next(row[name] for name in _SPAN_TIMES if name in row)
    talk = _first(attributes, _CONVERSATIONS)
    return {"start": time, "input_tokens": prompt, "output_tokens": output, "conversation": talk}


def _attributes(found: object) -> dict[str, object]:
    """OTLP's list of keys and typed values, or a plain mapping, as a mapping."""
    if isinstance(found, Mapping):
        return dict(found)
    plain: dict[str, object] = {}
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("value"), Mapping):
            plain[str(entry.get("key"))] = next(iter(entry["value"].values()), None)
    return plain


def _first(attributes: Row, names: tuple[str, ...]) -> object:
    return next((attributes[n] for n in names if attributes.get(n) not in (None, "")), None)


_TALK = "conversation"
_AIPERF = RecordKind(
    TraceLayout(
        "AIPerf",
        "request_start_ns",
        "input_sequence_length",
        "output_sequence_length",
        NANOSECONDS,
        sorts=True,
        conversation=_TALK,
    ),
    _aiperf,
)
_INFERENCE_PERF = RecordKind(
    TraceLayout(
        "inference-perf",
        "start_time",
        "input_tokens",
        "output_tokens",
        1.0,
        sorts=True,
        conversation=_TALK,
    ),
    _inference_perf,
)
_OTLP = RecordKind(
    TraceLayout(
        "OpenTelemetry",
        "start",
        "input_tokens",
        "output_tokens",
        NANOSECONDS,
        sorts=True,
        conversation=_TALK,
    ),
    _span,
)
_SPANS = RecordKind(
    TraceLayout(
        "OpenTelemetry",
        "start",
        "input_tokens",
        "output_tokens",
        sorts=True,
        conversation=_TALK,
    ),
    _span,
)
