"""Request traces, read as their publishers ship them.

Azure 2023 and 2024 and BurstGPT (CSV), Mooncake and Bailian (JSONL with block ids of 512 and of 16
tokens), AIPerf's and inference-perf's records, OpenTelemetry's GenAI spans, engine request logs, or plain
columns arrival_s, prompt_tokens, output_tokens (arrival_s may be absent; conversation_id says whose turn
a request is, request_class of which class); CSV with commas or semicolons, JSON lines, a JSON list, or
Parquet (``planner.workload.trace_columns`` distinguishes them). Nothing is executed, sizes are bounded,
and every complaint names file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError, nearest
from planner.package_data import shipped_folder
from planner.workload.trace_columns import MOONCAKE_BLOCK_TOKENS, time_unit, unit_name
from planner.workload.trace_rows import MAX_TOKENS, TraceRows, read_rows, read_time_s

__all__ = [
    "MAX_TOKENS",
    "Floats",
    "Trace",
    "read_time_s",
    "read_trace",
    "shipped_traces",
    "trace_path",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LONGEST_SPAN_S = 366 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival. ``arrival_s`` starts at 0 and is None for lengths alone [s];
    ``prefix``: block ids of each prompt, ``block_tokens`` each, or None. time_unit: what the file's
    times were read as; failed: requests without an answer that were left out. ``conversation``: which
    one each request is a turn of, where the file says so; ``request_class``: the class of each, "" where its
    row says none; None where no row does.
    """

    name: str
    prompt_tokens: Ints
    output_tokens: Ints
    arrival_s: Floats | None = None
    prefix: tuple[tuple[int, ...], ...] | None = None
    block_tokens: int = MOONCAKE_BLOCK_TOKENS
    publisher: str = ""
    time_unit: str = ""
    failed: int = 0
    conversation: Ints | None = None
    request_class: tuple[str, ...] | None = None

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
    if path.is_dir() or not path.is_file():
        raise InputError("a trace is read from a file", where=name)
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, _modified: int) -> Trace:
    return _finish(path, read_rows(path))


def _finish(path: Path, rows: TraceRows) -> Trace:
    if not rows.prompts:
        raise InputError("the trace has no requests", where=str(path))
    layout = rows.layout
    order = np.arange(len(rows.prompts))
    arrival_s, unit = None, ""
    if rows.times is not None:
        times = np.array(rows.times)
        per_second = 1.0 if rows.dates else time_unit(rows.times[0], rows.times, layout)
        unit = "dates" if rows.dates else unit_name(per_second)
        if layout.sorts:
            order = np.argsort(times, kind="stable")
        arrival_s = _arrivals(path, (times[order] - times[order[0]]) / per_second, unit)
    prefixes = rows.prefixes
    return Trace(
        name=path.name,
        prompt_tokens=np.array(rows.prompts, dtype=np.int64)[order],
        output_tokens=np.array(rows.outputs, dtype=np.int64)[order],
        arrival_s=arrival_s,
        prefix=tuple(prefixes[i] for i in order) if any(prefixes) else None,
        block_tokens=layout.block_tokens,
        publisher=layout.publisher,
        time_unit=unit,
        failed=rows.failed,
        conversation=_conversations(rows.conversations, order),
        request_class=tuple(rows.classes[i] for i in order) if any(rows.classes) else None,
    )


def _conversations(names: list[str], order: NDArray[np.int64]) -> Ints | None:
    """Numbers for the names, one of its own for a request without; None where none has any."""
    if not any(names):
        return None
    known: dict[str, int] = {}
    found = []
    for i in order.tolist():
        name = names[i] or f"\0{i}"
        found.append(known.setdefault(name, len(known)))
    return np.array(found, dtype=np.int64)


def _arrivals(path: Path, arrival_s: Floats, unit: str) -> Floats:
    back = np.flatnonzero(np.diff(arrival_s) < 0)
    if len(back):
        raise InputError(
            "arrivals are not in order",
            where=f"{path}, request {int(back[0]) + 2}",
            found=f"{arrival_s[back[0] + 1]:.3f} after {arrival_s[back[0]]:.3f}",
            action="sort the trace by its timestamps",
        )
    if arrival_s[-1] > LONGEST_SPAN_S:
        raise InputError(
            "the timestamps span more than a year",
            where=str(path),
            found=f"{arrival_s[-1]:.0f} s, read as {unit}",
            action="check their unit, or name it: timestamp_ms, timestamp_us, timestamp_ns",
        )
    return arrival_s
