"""Measured points: reading a table of them, row by row, whatever some rows look like.

A point is one closed-loop run: ``concurrency`` requests in flight from the first moment, prompt and
output lengths uniform in 0.8 to 1.0 of nominal, TTFT and TPOT averaged over requests.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from planner.catalog.tables import MAX_TABLE_BYTES, read_text
from planner.errors import InputError, PlannerError, nearest

REQUIRED = (
    "model",
    "gpu",
    "engine",
    "weights",
    "tensor_parallel",
    "prompt_tokens",
    "output_tokens",
    "concurrency",
    "ttft_ms",
    "tpot_ms",
)
_COUNTS = ("tensor_parallel", "prompt_tokens", "output_tokens", "concurrency")
_OPTIONAL_COUNTS = ("data_parallel", "expert_parallel", "pipeline_parallel", "gpus")
LONGEST_MS = 3.6e6
FASTEST_TPOT_MS = 0.2
FASTEST_TTFT_MS = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One measured closed-loop run. Times in milliseconds, as benchmarks print them."""

    model: str
    gpu: str
    engine: str
    weights: str
    tensor_parallel: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    ttft_ms: float
    tpot_ms: float
    engine_version: str = ""
    data_parallel: int = 1
    expert_parallel: int = 1
    pipeline_parallel: int = 1
    kv_cache: str = ""
    measured_on: str = ""
    source: str = ""
    weight: float = 1.0

    @property
    def gpus(self) -> int:
        return self.tensor_parallel * self.data_parallel * self.pipeline_parallel

    @property
    def group(self) -> tuple[str, str, str, str]:
        """What errors are averaged over: model, GPU, engine and weights."""
        return self.model, self.gpu, self.engine, self.weights

    @property
    def workload(self) -> tuple[str, int, int]:
        """Points of one workload differ in the deployment and the concurrency alone."""
        return self.model, self.prompt_tokens, self.output_tokens

    def tokens_per_s_per_gpu(self, ttft_ms: float, tpot_ms: float) -> float:
        """Output tokens/s and GPU of ``concurrency`` requests in flight with these times [ms]."""
        seconds = (ttft_ms + tpot_ms * (self.output_tokens - 1)) / 1e3
        return self.concurrency * self.output_tokens / seconds / self.gpus


@dataclass(frozen=True, slots=True)
class PointRow:
    """A line of the table: its cells as found, and either the point or why there is none."""

    line: int
    cells: Mapping[str, str]
    point: Point | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PointTable:
    """A table's rows, and what looks wrong about the table as a whole."""

    rows: tuple[PointRow, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(row.point for row in self.rows if row.point is not None)


def read_points(path: Path, error: type[PlannerError] = InputError) -> PointTable:
    """Return the points of a CSV file; extra columns are ignored, bad rows are kept with a reason.

    Raises ``error`` when the file cannot be read or lacks a required column.
    """
    reader = csv.DictReader(
        read_text(path, MAX_TABLE_BYTES, error).splitlines(), restkey="", restval=""
    )
    header = [name.strip() for name in reader.fieldnames or ()]
    _check_header(path, header, error)
    reader.fieldnames = header
    rows = []
    for cells in reader:
        clean = {key: (value or "").strip() for key, value in cells.items() if key}
        rows.append(_row(reader.line_num, clean))
    if not rows:
        raise error("the table has no rows", where=str(path), allowed="one measured run per row")
    return PointTable(tuple(rows), tuple(suspicions(row.point for row in rows if row.point)))


def _check_header(path: Path, header: list[str], error: type[PlannerError]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        hints = [hint for name in missing if (hint := nearest(name, header, cutoff=0.8))]
        raise error(
            f"missing column{'s' if len(missing) > 1 else ''}: {', '.join(missing)}",
            where=str(path),
            found=", ".join(header) or "an empty file",
            allowed=", ".join(REQUIRED),
            action=hints[0]
            if hints
            else "name the columns as `planner validate --help` lists them",
        )


def _row(line: int, cells: dict[str, str]) -> PointRow:
    try:
        return PointRow(line, cells, _point(cells))
    except ValueError as problem:
        return PointRow(line, cells, None, str(problem))


def _point(cells: Mapping[str, str]) -> Point:
    for name in ("model", "gpu", "engine", "weights"):
        if not cells[name]:
            raise ValueError(f"{name} is empty")
    counts = {name: _count(name, cells[name]) for name in _COUNTS}
    optional = {name: _count(name, cells[name]) for name in _OPTIONAL_COUNTS if cells.get(name)}
    gpus = optional.pop("gpus", None)
    point = Point(
        model=cells["model"],
        gpu=cells["gpu"],
        engine=cells["engine"],
        weights=cells["weights"],
        ttft_ms=_time_ms("ttft_ms", cells["ttft_ms"]),
        tpot_ms=_time_ms("tpot_ms", cells["tpot_ms"]),
        engine_version=cells.get("engine_version", ""),
        kv_cache=cells.get("kv_cache", ""),
        measured_on=cells.get("measured_on", ""),
        source=cells.get("source", ""),
        weight=_weight(cells.get("weight", "")),
        **counts,
        **optional,
    )
    if gpus is not None and gpus != point.gpus:
        point = _over_gpus(point, gpus)
    if point.output_tokens < 2:
        raise ValueError("output_tokens is 1: a single token has no time per output token")
    return point


def _over_gpus(point: Point, gpus: int) -> Point:
    """Read ``tensor_parallel`` as SGLang does: the ranks of all attention-DP groups together."""
    share, rest = divmod(gpus, point.data_parallel * point.pipeline_parallel)
    if rest or share < 1 or gpus != point.tensor_parallel * point.pipeline_parallel:
        raise ValueError(f"gpus is {gpus}, but TP x PP x DP is {point.gpus}")
    return replace(point, tensor_parallel=share)


def _count(name: str, text: str) -> int:
    value = _number(name, text)
    if value != int(value) or not 1 <= value <= 1e7:
        raise ValueError(f"{name} is {text!r}, expected a whole number of at least 1")
    return int(value)


def _time_ms(name: str, text: str) -> float:
    value = _number(name, text)
    if value <= 0:
        raise ValueError(f"{name} is {text!r}, expected a time above 0")
    if value > LONGEST_MS:
        raise ValueError(f"{name} is {text!r} ms, more than an hour; was it given in microseconds?")
    return value


def _weight(text: str) -> float:
    value = _number("weight", text) if text else 1.0
    if not 0 < value <= 1:
        raise ValueError(f"weight is {text!r}, expected a number above 0 and at most 1")
    return value


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text!r}, expected a finite number")
    return value


def suspicions(points: Iterable[Point]) -> list[str]:
    """Return what hints at seconds in columns of milliseconds."""
    found = list(points)
    told = []
    for name, fastest in (("tpot_ms", FASTEST_TPOT_MS), ("ttft_ms", FASTEST_TTFT_MS)):
        low = sum(getattr(point, name) < fastest for point in found)
        if low:
            told.append(
                f"{low} of {len(found)} rows have {name} below {fastest:g}: "
                "these look like seconds where milliseconds are meant"
            )
    swapped = sum(point.tpot_ms > point.ttft_ms * 3 for point in found)
    if swapped:
        told.append(
            f"{swapped} of {len(found)} rows have a TPOT of more than three times the TTFT: "
            "are the units mixed, or the columns swapped?"
        )
    return told
