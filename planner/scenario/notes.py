"""What is worth a second look in a scenario file: ambiguous or unlikely numbers, old field names.

Ambiguous numbers are read as before, with a warning; the next release refuses them. A plan's own scenario
stores seconds as plain numbers, which no file had to write: only files are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from planner.errors import AmbiguousNumber, RenamedField, ScenarioWarning, UnlikelyNumber
from planner.scenario.renames import FIELDS, ROUTING_FIELDS
from planner.scenario.schema import MAX_RATE_QPS
from planner.scenario.text.yaml_source import Loc, Source
from planner.units import DAY_S, parse_rate_qps

_TARGET = re.compile(r"^(ttft|tpot|itl|e2e)_p([0-9]+(?:\.[0-9]*)?)$")
_DURATIONS = {
    ("assumptions", "response_time"),
    ("routing", "start_up"),
    ("job", "within"),
    ("kv_link", "latency"),
}
_SIZES = {
    ("search", "reserved_memory"),
    ("kv_offload", "host_memory"),
    ("kv_offload", "disk"),
}
UNLIKELY_BYTES = 1e6  # less than any memory that is reserved or offloaded to
_HOLD_RENAMED = ("", *FIELDS, *FIELDS.values())  # documents whose fields had other names
_OCTAL = re.compile(r"^[-+]?0[0-7_]+$")
_REFUSED = "the next release refuses it"
UNLIKELY_PERCENTILE = 50.0  # a target below it leaves most requests without one
UNLIKELY_RATE_QPS = 1e5  # 8.6e9 requests a day, more than any public service reports
_PLACED = re.compile(r".+, [\w.-]+: ")  # file and line, or the option, and the field
_NOTICED = ("is read as", "is now called", "a rate is in", "concerns only the fastest")


@dataclass(frozen=True)
class Note:
    """Something noticed in a scenario file, in one sentence with file and line, and of which kind."""

    text: str
    kind: type[ScenarioWarning]


def notes_on(source: Source) -> tuple[Note, ...]:
    """A note for each ambiguous or unlikely number and each field under its old name."""
    return (*_ambiguous(source), *_unlikely(source), *_renamed(source))


def is_note(text: str) -> bool:
    """Whether a plan's warning is a note on how its scenario's file was read, by its wording."""
    return bool(_PLACED.match(text)) and any(words in text for words in _NOTICED)


def _ambiguous(source: Source) -> Iterator[Note]:
    for loc, text in source.numbers.items():
        where, value = source.where(*loc), _value(source, loc)
        if _OCTAL.match(text):
            yield Note(
                f"{where}: {text} is read as {value}, since YAML takes a leading zero for base 8; "
                f"{_REFUSED}: write {text.lstrip('+-0_') or 0}",
                AmbiguousNumber,
            )
        elif ":" in text:
            yield Note(
                f"{where}: {text} is read as {value}, since YAML takes colons for base 60; "
                f"{_REFUSED}: write the number, or a duration such as 90s",
                AmbiguousNumber,
            )
        elif loc[-2:] in _SIZES and isinstance(value, (int, float)) and 0 < value < UNLIKELY_BYTES:
            yield Note(
                f"{where}: {text} without a unit is read as {text} bytes: write {text}GiB for gibibytes",
                UnlikelyNumber,
            )
        elif _is_duration(loc) and value:
            yield Note(
                f"{where}: {text} without a unit is read as {text} seconds; "
                f"{_REFUSED}: write {text}s, or {text}ms for milliseconds",
                AmbiguousNumber,
            )


def _unlikely(source: Source) -> Iterator[Note]:
    for loc in (*source.lines, *source.given):
        value = parse_rate_qps(_value(source, loc)) if loc[-1:] == ("rate",) else None
        if isinstance(value, (int, float)) and UNLIKELY_RATE_QPS <= value <= MAX_RATE_QPS:
            yield Note(
                f"{source.where(*loc)}: {value:,.0f} requests/s are {value * DAY_S:.2g} a day; "
                "a rate is in requests per second",
                UnlikelyNumber,
            )
        target = _TARGET.match(str(loc[-1])) if loc[-2:-1] == ("slo",) else None
        percentile = float(target[2]) if target else None
        if target and percentile is not None and 0 < percentile < UNLIKELY_PERCENTILE:
            yield Note(
                f"{source.where(*loc)}: {target[0]} concerns only the fastest {percentile:g} % of requests; "
                f"a target for nearly all is {target[1]}_p90 or {target[1]}_p99",
                UnlikelyNumber,
            )


def _renamed(source: Source) -> Iterator[Note]:
    for loc in (*source.lines, *source.given):
        parent = loc[-2] if len(loc) > 1 and isinstance(loc[-2], str) else ""
        names = ROUTING_FIELDS if parent in (*FIELDS, *FIELDS.values()) else FIELDS
        new = names.get(str(loc[-1])) if loc and parent in _HOLD_RENAMED else None
        if new is not None:
            yield Note(
                f"{source.where(*loc)}: {loc[-1]} is now called {new}; {_REFUSED}: write {new}",
                RenamedField,
            )


def _is_duration(loc: Loc) -> bool:
    if len(loc) < 2:
        return False
    parent, field = loc[-2:]
    return (parent, field) in _DURATIONS or (
        parent == "slo" and isinstance(field, str) and bool(_TARGET.match(field))
    )


def _value(source: Source, loc: Loc) -> object:
    """What the file's number became."""
    value: object = source.data
    for part in loc:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    return value
