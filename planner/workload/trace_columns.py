"""Whose trace a row belongs to: the names of its time and lengths, and the unit of its time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from planner.errors import InputError, header_found, nearest

MOONCAKE_BLOCK_TOKENS = 512
BAILIAN_BLOCK_TOKENS = 16
MILLISECONDS, MICROSECONDS, NANOSECONDS = 1e3, 1e6, 1e9
_EPOCHS = ((1e17, NANOSECONDS), (1e14, MICROSECONDS), (1e11, MILLISECONDS))

_TIMES = (
    "arrival_s",
    "arrival_time",
    "arrived_at",
    "arrival",
    "timestamp",
    "timestamp_s",
    "timestamp_ms",
    "timestamp_ns",
    "arrival_ms",
    "arrival_time_ms",
    "request_time",
    "start_time",
    "time",
    "time_s",
    "time_ms",
    "time_us",
    "time_ns",
    "ts",
    "t",
    "datetime",
    "date",
    "created_at",
    "created",
)
_LIKELY_TIME = re.compile(
    r"(arriv|start|request|submit|sent|received|begin).*(time|ts|at|date)|timestamp"
)
_NO_ARRIVAL = re.compile(
    r"end|finish|first|elapsed|duration|latency|ttft|e2e|complet|response|wait|queue"
)
_PROMPTS = (
    "prompt_tokens",
    "contexttokens",
    "context_tokens",
    "request_tokens",
    "input_tokens",
    "input_length",
    "input_len",
    "input_toks",
    "prompt_len",
    "prompt_length",
    "num_prompt_tokens",
    "num_prefill_tokens",
    "num_input_tokens",
    "prefill_tokens",
    "prefill_len",
    "prompt_token_count",
    "input_token_count",
    "input_sequence_length",
    "isl",
)
_OUTPUTS = (
    "output_tokens",
    "generatedtokens",
    "generated_tokens",
    "response_tokens",
    "completion_tokens",
    "output_length",
    "output_len",
    "output_toks",
    "num_output_tokens",
    "num_generation_tokens",
    "num_decode_tokens",
    "num_generated_tokens",
    "num_completion_tokens",
    "generation_tokens",
    "decode_tokens",
    "decode_len",
    "completion_len",
    "generated_len",
    "completion_token_count",
    "output_token_count",
    "output_sequence_length",
    "osl",
)
ALLOWED = (
    "a time (arrival_s, timestamp, ...), prompt tokens (prompt_tokens, ContextTokens, input_length, "
    "...) and output tokens (output_tokens, GeneratedTokens, output_length, ...); lengths alone do "
    "for workloads without arrivals"
)
_CONVERSATIONS = ("conversation_id", "conversation", "session_id", "chat_session", "thread_id")
_REQUEST_CLASSES = ("request_class", "class")
_TEXTS = ("conversations", "messages", "prompt", "text", "instruction", "content")


@dataclass(frozen=True, slots=True)
class TraceLayout:
    """Names of the fields of one kind of trace; ``time`` is None for lengths alone.

    per_second: units of its time in a second; None where the numbers decide. block_tokens: tokens of
    one of its prompt block ids. failed: whether requests without an answer are listed (and left out).
    sorts: whether rows are in the order of their ends, to be put in that of arrivals. conversation: the
    field that says which conversation a request is a turn of, None where none does; request_class: likewise
    the class.
    """

    publisher: str
    time: str | None
    prompt: str
    output: str
    per_second: float | None = None
    block_tokens: int = MOONCAKE_BLOCK_TOKENS
    failed: bool = False
    sorts: bool = False
    conversation: str | None = None
    request_class: str | None = None


def layout_of(names: Iterable[str], where: str) -> TraceLayout:
    """The layout of a trace with these fields.

    Raises InputError naming the fields that are missing, and texts where token counts are needed.
    """
    known = {plain(name): name for name in names}
    prompt, output = _first(_PROMPTS, known), _first(_OUTPUTS, known)
    time, talk = _first(_TIMES, known) or _likely_time(known), _first(_CONVERSATIONS, known)
    kind = _first(_REQUEST_CLASSES, known)
    if prompt is None or output is None:
        raise _missing(known, prompt, output, where)
    if "chat_id" in known and "hash_ids" in known:
        return TraceLayout("Bailian", time, prompt, output, 1.0, BAILIAN_BLOCK_TOKENS)
    if "log_type" in known or "request_tokens" in known:
        return TraceLayout("BurstGPT", time, prompt, output, 1.0, failed=True)
    if "contexttokens" in known:
        return TraceLayout("Azure", time, prompt, output)
    if "queued_ts" in known or "input_toks" in known:
        return TraceLayout(
            "engine log",
            time,
            prompt,
            output,
            1.0,
            sorts=True,
            conversation=talk,
            request_class=kind,
        )
    if plain(prompt) == "input_length" and plain(time or "") == "timestamp":
        return TraceLayout("Mooncake", time, prompt, output)
    unit = _named_unit(time)
    return TraceLayout("", time, prompt, output, unit, conversation=talk, request_class=kind)


def plain(name: str) -> str:
    """A field's name in lower case, words joined by underscores: ``Time (ms)`` is ``time_ms``."""
    return "_".join(re.findall(r"[^\W_]+", name.lower()))


def time_unit(first: float, times: Iterable[float], layout: TraceLayout) -> float:
    """Units in a second: dates count by their size, Mooncake's whole numbers are milliseconds.

    A time since 1970 is reported by its magnitude: 1.7e9 s, 1.7e12 ms, 1.7e15 us, 1.7e18 ns.
    first: the first cell as read; times: of all requests, in the unit sought.
    """
    if layout.per_second is not None:
        return layout.per_second
    for least, units in _EPOCHS:
        if first >= least:
            return units
    if layout.publisher == "Mooncake" and all(t == int(t) for t in times):
        return MILLISECONDS
    return 1.0


def unit_name(per_second: float) -> str:
    """``seconds``, ``milliseconds``, ``microseconds`` or ``nanoseconds``.

    per_second: units in a second.
    """
    return {
        1.0: "seconds",
        MILLISECONDS: "milliseconds",
        MICROSECONDS: "microseconds",
        NANOSECONDS: "nanoseconds",
    }[per_second]


def _named_unit(time: str | None) -> float | None:
    """The unit a name states: ``_ms``, ``_us``, ``_ns``, or ``_s``."""
    ends = {"ms": MILLISECONDS, "us": MICROSECONDS, "ns": NANOSECONDS, "s": 1.0}
    return None if time is None else ends.get(plain(time).rpartition("_")[2])


def _first(wanted: tuple[str, ...], known: dict[str, str]) -> str | None:
    """The first of the wanted names that is there, in whatever case: promptTokens is prompt_tokens."""
    joined = {name.replace("_", ""): known[name] for name in reversed(known)}
    return next((joined[key] for name in wanted if (key := name.replace("_", "")) in joined), None)


def _likely_time(known: dict[str, str]) -> str | None:
    """A field whose name speaks of when a request arrived, where none has a usual name."""
    likely = (n for n in known if _LIKELY_TIME.search(n) and not _NO_ARRIVAL.search(n))
    return next((known[name] for name in likely), None)


def _missing(
    known: dict[str, str], prompt: str | None, output: str | None, where: str
) -> InputError:
    found = header_found(tuple(known.values()), (*_PROMPTS, *_OUTPUTS, *_TEXTS))
    if any(name in known for name in _TEXTS):
        return InputError(
            "these are texts (ShareGPT or chat messages): token counts are needed",
            where=where,
            found=found,
            allowed=ALLOWED,
            action="count tokens with the model's tokenizer and write prompt_tokens,output_tokens",
        )
    if {"ttft_ms", "mean_ttft_ms", "benchmarks"} & set(known):
        return InputError(
            "this is a load generator's result, not a trace of requests",
            where=where,
            action="read it with planner accuracy or planner calibrate",
        )
    gone = [
        (what, names)
        for what, names, there in (
            ("prompt tokens", _PROMPTS, prompt),
            ("output tokens", _OUTPUTS, output),
        )
        if there is None
    ]
    hints = (nearest(name, names, cutoff=0.75) for _, names in gone for name in known)
    return InputError(
        f"columns are missing: {' and '.join(what for what, _ in gone)}",
        where=where,
        found=found,
        allowed=ALLOWED,
        action=next((hint for hint in hints if hint is not None), None),
    )
