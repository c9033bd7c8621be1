"""Measured points: reading a table of them, row by row, whatever some rows look like.

A point is one run of a benchmark, as it was run: a closed loop (``concurrency`` requests in flight
from the first moment), an open loop (arrivals at a rate) or offline (everything sent at once), and
what was measured of it: means, percentiles, totals (``planner.accuracy.measures`` names them).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from planner.accuracy.measures import MeasureColumn, column, in_unit
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.point_cells import point_of
from planner.accuracy.point_columns import canonical, ignored
from planner.catalog.tables import MAX_TABLE_BYTES, read_text
from planner.errors import InputError, PlannerError, header_found, nearest
from planner.units import counted

REQUIRED = ("model", "gpu", "engine", "weights")
LAYOUTS = ("tensor_parallel", "decode_tensor_parallel")
MEASURES = ("ttft_ms", "tpot_ms")
FASTEST_TPOT_MS = 0.2
FASTEST_TTFT_MS = 1.0
MORE = "more"  # key of the cells beyond the header's
_DECIMAL = re.compile(r"^(\d+),(\d+)$")


@dataclass(frozen=True, slots=True)
class PointRow:
    """A line of the table: its cells as found, and either the point or why there is none."""

    line: int
    cells: Mapping[str, str]
    point: MeasuredPoint | None
    error: str | None = None

    @property
    def measured(self) -> dict[str, MeasureColumn]:
        """The columns of this row that hold a measured quantity."""
        known = {name: column(name) for name, cell in self.cells.items() if cell}
        return {name: found for name, found in known.items() if found is not None}


@dataclass(frozen=True, slots=True)
class PointTable:
    """A table's rows, and what looks wrong about the table as a whole."""

    rows: tuple[PointRow, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def points(self) -> tuple[MeasuredPoint, ...]:
        return tuple(row.point for row in self.rows if row.point is not None)


def read_points(
    path: Path,
    error: type[PlannerError] = InputError,
    filling: Mapping[str, str] | None = None,
) -> PointTable:
    """Return the points of a CSV file; bad rows are kept with a reason.

    Columns are read under the names that other tools give them (``planner.accuracy.point_columns``);
    one that is not known is ignored with a warning. ``filling``: cells of columns that the table does
    not have.

    Raises ``error`` when the file cannot be read or lacks a required column.
    """
    text = read_text(path, MAX_TABLE_BYTES, error).removeprefix("\ufeff")
    lines = text.splitlines()
    blank = next((n for n, line in enumerate(lines) if line.strip()), 0)
    first = lines[blank] if lines else ""
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(lines[blank:], restkey=MORE, restval="", delimiter=separator)
    header = canonical(reader.fieldnames or ())
    added = {name: cell for name, cell in (filling or {}).items() if name not in header}
    _check_header(path, [*header, *added], error)
    reader.fieldnames = header
    rows = []
    for cells in reader:
        more = [cell for cell in cells.pop(MORE, None) or () if cell.strip()]
        clean = added | {key: (value or "").strip() for key, value in cells.items() if key}
        if separator != ",":  # where it separates no cells, a comma is a decimal point
            clean = {key: _DECIMAL.sub(r"\1.\2", cell) for key, cell in clean.items()}
        line = blank + reader.line_num
        try:
            if more:
                raise ValueError(_too_many(more, separator))
            rows.append(PointRow(line, clean, point_of(clean, path.parent)))
        except ValueError as problem:
            rows.append(PointRow(line, clean, None, str(problem)))
    if not rows:
        raise error("the table has no rows", where=str(path), allowed="one measured run per row")
    unread = ignored(header)
    warnings = [f"not read: column{'s'[: len(unread) > 1]} {', '.join(unread)}"] if unread else []
    warnings += suspicions(row.point for row in rows if row.point)
    return PointTable(tuple(rows), tuple(warnings))


def _too_many(more: list[str], separator: str) -> str:
    """Why a row with cells beyond the header's is not read: which of them is which is not known."""
    hint = "; write decimal points, no commas" if separator == "," else ""
    return f"the row has {counted(len(more), 'cell')} more than the header has columns{hint}"


def table_of(points: Iterable[MeasuredPoint]) -> PointTable:
    """Points read from elsewhere as a table: one row each, under the canonical columns."""
    found = list(points)
    rows = tuple(PointRow(line, cells_of(point), point) for line, point in enumerate(found, 1))
    return PointTable(rows, tuple(suspicions(found)))


def cells_of(point: MeasuredPoint) -> dict[str, str]:
    """What a row says of the run: the deployment, the load and everything measured."""
    stated = {
        "model": point.model,
        "gpu": point.gpu,
        "engine": point.engine,
        "engine_version": point.engine_version,
        "weights": point.weights,
        "tensor_parallel": str(point.tensor_parallel),
        "data_parallel": str(point.data_parallel),
        "expert_parallel": str(point.expert_parallel),
        "prompt_tokens": str(point.prompt_tokens),
        "output_tokens": str(point.output_tokens),
        "load": str(point.load),
        "concurrency": str(point.concurrency) if point.concurrency else "",
        "rate": f"{point.rate_qps:g}" if point.rate_qps else "",
        "requests": str(point.requests) if point.requests else "",
    }
    return stated | {
        measure.name: f"{in_unit(measure, value):.6g}" for measure, value in point.measures.items()
    }


def _check_header(path: Path, header: list[str], error: type[PlannerError]) -> None:
    if twice := [name for n, name in enumerate(header) if name and name in header[:n]]:
        raise error("a column is named twice", where=f"{path}:1", found=twice[0])
    missing = [name for name in REQUIRED if name not in header]
    if not any(name in header for name in LAYOUTS):
        missing.append(LAYOUTS[0])
    if "lengths_file" not in header:
        missing += [name for name in ("prompt_tokens", "output_tokens") if name not in header]
    if not any(name in header for name in ("concurrency", "rate", "requests", "lengths_file")):
        missing.append("concurrency")
    unclear = [name for name in header if column(name) is None and column(f"{name}_ms")]
    missing += [f"{name}_ms" for name in unclear]
    if not unclear and not any(column(name) for name in header):
        missing += MEASURES
    if missing:
        hints = [hint for name in missing if (hint := nearest(name, header, cutoff=0.8))]
        raise error(
            f"missing column{'s' if len(missing) > 1 else ''}: {', '.join(missing)}",
            where=str(path),
            found=header_found(header, REQUIRED),
            allowed=", ".join((*REQUIRED, LAYOUTS[0], "prompt_tokens, output_tokens, concurrency"))
            + ", and what was measured: ttft_ms, tpot_ms, tpot_p99_ms, e2e_p50_s, makespan_s, ...",
            action=hints[0]
            if hints
            else "name the columns as `planner accuracy --help` lists them",
        )


def suspicions(points: Iterable[MeasuredPoint]) -> list[str]:
    """Return what hints at seconds in columns of milliseconds."""
    typical = [(_typical_ms(point, "ttft"), _typical_ms(point, "tpot")) for point in points]
    count = len(typical)
    found = []
    for name, place, fastest in (
        ("tpot_ms", 1, FASTEST_TPOT_MS),
        ("ttft_ms", 0, FASTEST_TTFT_MS),
    ):
        low = sum(times[place] < fastest for times in typical)
        if low:
            found.append(
                f"{low} of {count} rows have {name} below {fastest:g}: "
                "these look like seconds where milliseconds are meant"
            )
    swapped = sum(tpot > ttft * 3 for ttft, tpot in typical)
    if swapped:
        found.append(
            f"{swapped} of {count} rows have a TPOT of more than three times the TTFT: "
            "are the units mixed, or the columns swapped?"
        )
    return found


def _typical_ms(point: MeasuredPoint, metric: str) -> float:
    measure = point.typical(metric)
    return math.nan if measure is None else point.measures[measure] * 1e3
