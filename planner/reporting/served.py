"""What fleets serve, where stock may be short and one costs less for serving less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from planner.reporting import rounding
from planner.reporting.document import Column, Table


def serves(served_qps: Mapping[str, float]) -> str:
    """What a fleet serves in all and of each service, in words; "" where all must be served."""
    if not served_qps:
        return ""
    total = f"serves {rounding.qps(sum(served_qps.values()))}"
    each = ", ".join(f"{name} {rounding.qps(rate)}" for name, rate in served_qps.items())
    return f"{total} ({each})" if len(served_qps) > 1 else total


def with_served(table: Table, served_qps: Iterable[Mapping[str, float]]) -> Table:
    """The table with what the fleet of each row serves; as it is where all must be served."""
    said = [serves(served).removeprefix("serves ") for served in served_qps]
    if not any(said):
        return table
    rows = tuple((*row, text or None) for row, text in zip(table.rows, said, strict=True))
    return replace(table, columns=(*table.columns, Column("serves", "What it serves")), rows=rows)
