"""Length quantiles and rate series, read as ServeGen ships them.

Quantiles: CSV with quantile, tokens. Rates: CSV with window_start_s, rate_rps and, when the file holds
several, workload.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError, header_found, nearest
from planner.workload.trace import MAX_TOKENS, Floats, read_time_s, trace_path


@dataclass(frozen=True, slots=True, eq=False)
class RateSeries:
    """Mean request rates over equal windows [requests/s], with windows without data dropped."""

    name: str
    window_s: float
    start_s: Floats
    rate_qps: Floats
    dropped: int = 0


def is_quantile_table(name: str) -> bool:
    """Whether the file is a table of quantiles (columns quantile, tokens) and not of requests."""
    with trace_path(name).open(encoding="utf-8-sig", errors="replace") as file:
        return [c.strip() for c in file.readline().split(",")][:2] == ["quantile", "tokens"]


def read_quantiles(name: str) -> tuple[tuple[float, float], ...]:
    """(probability, tokens) points of a quantile table, checked to rise."""
    path = trace_path(name)
    points: list[tuple[float, float]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            where = f"{path}:{reader.line_num}"
            try:
                q, tokens = float(row["quantile"]), float(row["tokens"])
            except (KeyError, TypeError, ValueError):
                raise InputError("not a quantile and its tokens", where=where, found=row) from None
            if not (0 <= q <= 1 and 0 < tokens <= MAX_TOKENS):
                raise InputError("not a quantile and its tokens", where=where, found=(q, tokens))
            if points and (q <= points[-1][0] or tokens < points[-1][1]):
                raise InputError("quantiles must rise", where=where, found=(q, tokens))
            points.append((q, tokens))
    if len(points) < 2:
        raise InputError("at least two quantiles are needed", where=str(path))
    return tuple(points)


def read_rates(name: str, workload: str | None = None) -> RateSeries:
    """A rate series (columns window_start_s, rate_rps and, for several, workload).

    Windows with rate 0 are gaps in the record and dropped (``dropped`` counts them).
    """
    path = trace_path(name)
    rows: list[tuple[str, float, float]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"window_start_s", "rate_rps"} <= set(reader.fieldnames or ()):
            raise InputError(
                "columns are missing",
                where=f"{path}:1",
                found=header_found(reader.fieldnames or (), ("window_start_s", "rate_rps")),
                allowed="window_start_s, rate_rps[, workload]",
            )
        for row in reader:
            where = f"{path}:{reader.line_num}"
            start = read_time_s(row["window_start_s"], where)
            rows.append((row.get("workload") or "", start, read_time_s(row["rate_rps"], where)))
    names = sorted({r[0] for r in rows})
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
    own = [(s, r) for w, s, r in rows if w == workload]
    starts = np.array([s for s, _ in own])
    rates = np.array([r for _, r in own])
    if np.any(np.diff(starts) <= 0):
        raise InputError("windows are not in order", where=str(path))
    window = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    kept = rates > 0
    return RateSeries(workload, window, starts[kept], rates[kept], int((~kept).sum()))
