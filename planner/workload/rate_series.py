"""Rate series: CSV with window_start_s, rate_rps and, where the file holds several, workload.

A window whose rate is 0 had no requests. A window that is not in the file, or whose rate is left out or is
``NaN``, was not recorded (``docs/decisions/0023-a-rate-of-zero.md``).
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from planner.errors import InputError, header_found, nearest
from planner.packed_files import not_text
from planner.workload.trace import Floats, read_time_s, trace_path
from planner.workload.trace_rows import decimal_point, separator_of

COLUMNS = ("window_start_s", "rate_rps")
MISSING = ("", "nan", "null", "none")
SECONDS_PER_HOUR, HOURS_PER_DAY = 3600.0, 24
SLIVER = 1e-9  # of an hour: what rounding leaves of a window in the next hour


@dataclass(frozen=True, slots=True, eq=False)
class RateSeries:
    """Mean request rates over equal windows [requests/s]; ``dropped``: windows without a record."""

    name: str
    window_s: float
    start_s: Floats
    rate_qps: Floats
    dropped: int = 0


def read_rates(name: str, workload: str | None = None) -> RateSeries:
    """A rate series; ``workload`` says which, where the file holds several.

    Raises InputError with file and line for what is none, and where no window has a rate above 0.
    """
    path = trace_path(name)
    rows = list(_rows(path))
    names = sorted({own for own, _, _, _ in rows})
    if not rows:
        raise InputError("the rate series has no windows", where=str(path))
    if workload is None and len(names) == 1:
        workload = names[0]
    if workload not in names:
        raise InputError(
            "the file holds several workloads" if workload is None else "no such workload",
            where=str(path),
            found=workload,
            allowed=", ".join(names),
            action=nearest(workload or "", names),
        )
    own = [(start, rate, line) for w, start, rate, line in rows if w == workload]
    for (before, _, _), (start, _, line) in itertools.pairwise(own):
        if start <= before:
            raise InputError(
                "windows are not in order",
                where=f"{path}:{line}",
                found=f"{start:g} s after {before:g} s",
                allowed="window_start_s that rises from row to row",
                action="sort the file by window_start_s, each start once",
            )
    starts = np.array([start for start, _, _ in own])
    rates = np.array([rate for _, rate, _ in own])
    window = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    kept = ~np.isnan(rates)
    if not np.any(rates[kept] > 0):
        raise InputError("no window has a rate above 0", where=str(path))
    return RateSeries(workload, window, starts[kept], rates[kept], int((~kept).sum()))


def by_hour(series: RateSeries) -> tuple[Floats, Floats]:
    """Mean and busiest window of each hour of whole days from 00:00; nan where nothing was recorded.

    A window counts in every hour it reaches into, by its share of it. A day is 24 hours from the first
    one on, each at its own hour of the day; what is missing of the last day was not recorded. Times
    count from midnight, or from 1970 (UTC).
    """
    begins = series.start_s / SECONDS_PER_HOUR
    first = math.floor(begins[0])
    begins = begins - first
    ends = begins + series.window_s / SECONDS_PER_HOUR
    hours = math.ceil(round(float(ends[-1]), 9))
    days = -(-hours // HOURS_PER_DAY)
    mean, busiest = np.full(days * HOURS_PER_DAY, np.nan), np.full(days * HOURS_PER_DAY, np.nan)
    for hour in range(hours):
        near = slice(np.searchsorted(ends, hour, "right"), np.searchsorted(begins, hour + 1))
        shares = np.minimum(ends[near], hour + 1) - np.maximum(begins[near], hour)
        reach = shares > SLIVER
        if not reach.any():
            continue
        rates, shares = series.rate_qps[near][reach], shares[reach]
        place = hour - hour % HOURS_PER_DAY + (first + hour) % HOURS_PER_DAY
        equal = np.ptp(shares) <= SLIVER
        mean[place] = rates.mean() if equal else np.average(rates, weights=shares)
        busiest[place] = rates.max()
    return mean, busiest


def recorded_hours(series: RateSeries) -> int:
    """Hours from the first window to the end of the last, begun ones counted."""
    first = math.floor(float(series.start_s[0]) / SECONDS_PER_HOUR)
    last = float(series.start_s[-1] + series.window_s) / SECONDS_PER_HOUR
    return math.ceil(round(last - first, 9))


def _rows(path: Path) -> Iterator[tuple[str, float, float, int]]:
    """(workload, start [s], rate [requests/s] or nan, line) of each row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise not_text("the rate series", path.read_bytes(), str(path), InputError) from None
    lines = text.splitlines()
    separator = separator_of(lines[0] if lines else "")
    reader = csv.DictReader(lines, delimiter=separator)
    header = [name.strip() for name in reader.fieldnames or ()]
    if not set(COLUMNS) <= set(header):
        raise InputError(
            "columns are missing",
            where=f"{path}:1",
            found=header_found(header, COLUMNS),
            allowed="window_start_s, rate_rps[, workload]",
        )
    reader.fieldnames = header
    for row in reader:
        where = f"{path}:{reader.line_num}"
        start, rate = (row[name] or "" for name in COLUMNS)
        if separator == ";":
            start, rate = decimal_point(start), decimal_point(rate)
        own = (row.get("workload") or "").strip()
        yield own, read_time_s(start, where), _rate(rate, where), reader.line_num


def _rate(cell: str, where: str) -> float:
    if cell.strip().lower() in MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or value < 0:
        raise InputError(
            "not a rate",
            where=where,
            found=cell,
            allowed="requests per second from 0 on; empty or NaN where nothing was recorded",
        )
    return value
