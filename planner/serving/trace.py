"""Request traces, read as their publishers ship them.

Request traces: Azure (CSV: TIMESTAMP, ContextTokens, GeneratedTokens), Mooncake (JSONL: timestamp in
ms, input_length, output_length, hash_ids of 512-token blocks), engine request logs (JSONL:
arrival_time in s, input_toks, output_toks), or the plain form (CSV:
arrival_s, prompt_tokens, output_tokens; arrival_s may be absent). Nothing is executed, sizes are
bounded, and every complaint names file and line.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError, nearest
from planner.package_data import shipped_folder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_TRACE_BYTES = 2_000_000_000
MAX_REQUESTS = 20_000_000
MAX_TOKENS = 10_000_000
LONGEST_SPAN_S = 366 * 86_400.0
MOONCAKE_BLOCK_TOKENS = 512

_COLUMNS = {
    "azure": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "plain": ("arrival_s", "prompt_tokens", "output_tokens"),
    "lengths": ("prompt_tokens", "output_tokens"),
    "vidur": ("num_prefill_tokens", "num_decode_tokens"),
}
_MOONCAKE_FIELDS = ("timestamp", "input_length", "output_length")
_LOG_FIELDS = ("arrival_time", "input_toks", "output_toks")
_ALLOWED = (
    "; ".join(", ".join(c) for c in _COLUMNS.values())
    + "; or JSONL of Mooncake or of an engine's request log"
)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival. ``arrival_s`` starts at 0 and is None for lengths alone [s];
    ``prefix``: block ids of each prompt, ``block_tokens`` each, or None.
    """

    name: str
    prompt_tokens: Ints
    output_tokens: Ints
    arrival_s: Floats | None = None
    prefix: tuple[tuple[int, ...], ...] | None = None
    block_tokens: int = MOONCAKE_BLOCK_TOKENS

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    @property
    def span_s(self) -> float:
        """Seconds between the first and the last arrival."""
        return 0.0 if self.arrival_s is None else float(self.arrival_s[-1])

    def check_context(self, context_tokens: int, model: str) -> None:
        """Raise InputError when a request is longer than the model's context."""
        total = self.prompt_tokens + self.output_tokens
        over = np.flatnonzero(total > context_tokens)
        if len(over):
            raise InputError(
                f"{len(over)} of {len(self)} requests are longer than the context of {model}",
                where=f"{self.name}, request {int(over[0]) + 1}",
                found=f"{int(total[over[0]])} tokens",
                allowed=f"at most {context_tokens} tokens (prompt + output)",
                action="cut the lengths with max, drop these requests, or choose a longer context",
            )


def trace_path(name: str) -> Path:
    """A file by path, or a shipped excerpt by its bare name. Raises InputError when there is none."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_traces()
    found = shipped.get(name) or shipped.get(Path(name).stem)
    if found is not None and len(path.parts) == 1:
        return found
    raise InputError(
        "no such trace file",
        where=name,
        allowed="a path, or a shipped excerpt: " + ", ".join(shipped),
        action=nearest(name, shipped),
    )


def shipped_traces() -> dict[str, Path]:
    """Name and path of every excerpt that travels with the package."""
    folder = shipped_folder("catalogs") / "traces"
    if not folder.is_dir():
        return {}
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix in (".csv", ".jsonl")}


def read_trace(name: str) -> Trace:
    """Read a request trace by path or shipped name; InputError with file and line when it is bad."""
    path = trace_path(name)
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, _modified: int) -> Trace:
    _check_size(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            if first.lstrip().startswith("{"):
                return _finish(path, *_json_lines(path, file))
            return _finish(path, *_table(path, file))
    except UnicodeDecodeError:
        raise InputError("the trace is not UTF-8 text", where=str(path)) from None


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size == 0:
        raise InputError("the trace is empty", where=str(path), allowed=_ALLOWED)
    if size > MAX_TRACE_BYTES:
        raise InputError(
            "the trace is too large",
            where=str(path),
            found=f"{size:,} bytes",
            allowed=f"at most {MAX_TRACE_BYTES:,} bytes",
        )


_Rows = tuple[list[float] | None, list[int], list[int], list[tuple[int, ...]] | None]


def _table(path: Path, file: Iterator[str]) -> _Rows:
    reader = csv.reader(file)
    header = [c.strip() for c in next(reader, [])]
    kind = next((k for k, cols in _COLUMNS.items() if set(cols) <= set(header)), None)
    if kind is None:
        raise InputError(
            "columns are missing", where=f"{path}:1", found=", ".join(header), allowed=_ALLOWED
        )
    columns = [header.index(c) for c in _COLUMNS[kind]]
    timed = len(columns) == 3
    arrivals: list[float] = []
    prompts: list[int] = []
    outputs: list[int] = []
    for row in reader:
        if not row:
            continue
        where = f"{path}:{reader.line_num}"
        if len(row) <= max(columns):
            raise InputError("the row is too short", where=where, found=",".join(row))
        cells = [row[c] for c in columns]
        if timed:
            arrivals.append(read_time_s(cells[0], where))
        prompts.append(_tokens(cells[-2], where, "prompt"))
        outputs.append(_tokens(cells[-1], where, "output"))
        if len(prompts) > MAX_REQUESTS:
            raise InputError(f"more than {MAX_REQUESTS:,} requests", where=where)
    return arrivals if timed else None, prompts, outputs, None


def _json_lines(path: Path, file: Iterator[str]) -> _Rows:
    arrivals: list[float] = []
    prompts: list[int] = []
    outputs: list[int] = []
    prefixes: list[tuple[int, ...]] = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise InputError("not a JSON object", where=where, found=line.strip()) from None
        if not isinstance(row, dict):
            raise InputError("not a JSON object", where=where, found=line.strip())
        names = _LOG_FIELDS if "arrival_time" in row else _MOONCAKE_FIELDS
        missing = [k for k in names if k not in row]
        if missing:
            raise InputError(
                "fields are missing: " + ", ".join(missing), where=where, found=", ".join(row)
            )
        time, prompt, output = (row[k] for k in names)
        arrivals.append(read_time_s(time, where) / (1 if names is _LOG_FIELDS else 1000))
        prompts.append(_tokens(prompt, where, "prompt"))
        outputs.append(_tokens(output, where, "output"))
        ids = row.get("hash_ids", [])
        if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
            raise InputError("hash_ids must be a list of integers", where=where)
        prefixes.append(tuple(ids))
    return arrivals, prompts, outputs, prefixes


def read_time_s(cell: object, where: str) -> float:
    """Seconds from a number or a date and time (taken as UTC); InputError naming ``where``."""
    try:
        value = float(str(cell))
    except ValueError:
        try:
            text = str(cell)
            stamp, _, fraction = text.partition(".")
            value = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
            digits = fraction.rstrip("Z")
            value += float(f"0.{digits}") if digits else 0.0
        except ValueError:
            raise InputError(
                "not a time",
                where=where,
                found=cell,
                allowed="seconds, or a date such as 2023-11-16 18:15:46.68",
            ) from None
    if not math.isfinite(value) or value < 0:
        raise InputError("not a time", where=where, found=cell, allowed="a finite time from 0 on")
    return value


def _tokens(cell: object, where: str, what: str) -> int:
    try:
        number = float(str(cell))
    except ValueError:
        number = math.nan
    if isinstance(cell, bool) or not number.is_integer() or not 1 <= number <= MAX_TOKENS:
        raise InputError(
            f"not a number of {what} tokens",
            where=where,
            found=cell,
            allowed=f"a whole number from 1 to {MAX_TOKENS:,}",
        )
    return int(number)


def _finish(
    path: Path,
    arrivals: list[float] | None,
    prompts: list[int],
    outputs: list[int],
    prefixes: list[tuple[int, ...]] | None,
) -> Trace:
    if not prompts:
        raise InputError("the trace has no requests", where=str(path))
    arrival_s = None
    if arrivals is not None:
        arrival_s = np.array(arrivals)
        back = np.flatnonzero(np.diff(arrival_s) < 0)
        if len(back):
            raise InputError(
                "arrivals are not in order",
                where=f"{path}, request {int(back[0]) + 2}",
                found=f"{arrival_s[back[0] + 1]:.3f} after {arrival_s[back[0]]:.3f}",
                action="sort the trace by its timestamps",
            )
        arrival_s = arrival_s - arrival_s[0]
        if arrival_s[-1] > LONGEST_SPAN_S:
            raise InputError(
                "the timestamps span more than a year",
                where=str(path),
                found=f"{arrival_s[-1]:.0f} s",
                action="check their unit: seconds in CSV, milliseconds in Mooncake JSONL",
            )
    return Trace(
        name=path.name,
        prompt_tokens=np.array(prompts, dtype=np.int64),
        output_tokens=np.array(outputs, dtype=np.int64),
        arrival_s=arrival_s,
        prefix=tuple(prefixes) if prefixes and any(prefixes) else None,
    )
