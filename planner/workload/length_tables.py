"""Length quantiles, read as ServeGen ships them: CSV with quantile, tokens."""

from __future__ import annotations

import csv

from planner.errors import InputError
from planner.workload.trace import MAX_TOKENS, trace_path


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
