"""A batch as a document: totals first, then the ranking, then what failed and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from planner.reporting.document import Column, Document, Paragraph, Quantity, Section, Table
from planner.units import counted

SHOWN = 500

_QUANTITY = {
    "rate_qps": Quantity.QPS,
    "gpus": Quantity.COUNT,
    "gpus_rented": Quantity.COUNT,
    "nodes": Quantity.COUNT,
    "usd_per_hour": Quantity.USD_PER_HOUR,
    "usd_per_month": Quantity.USD,
    "usd_per_million_output_tokens": Quantity.USD,
    "ttft_p99_s": Quantity.SECONDS,
    "tpot_p99_s": Quantity.SECONDS,
}
_RANKING = ("id", "status", "usd_per_hour", "gpus_rented", "usd_per_million_output_tokens", "fleet")
_TITLES = {
    "id": "Scenario",
    "status": "Status",
    "usd_per_hour": "Cost per hour",
    "gpus_rented": "GPUs",
    "usd_per_million_output_tokens": "Per million output tokens",
    "fleet": "Fleet",
    "error": "Why",
}


def batch_document(
    rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int], columns: Sequence[str]
) -> Document:
    """Totals, the solved scenarios by cost, the others by reason; all ``columns`` for machines."""
    solved = sorted(
        (r for r in rows if r.get("usd_per_hour") is not None), key=lambda r: r["usd_per_hour"]
    )
    others = [r for r in rows if r.get("usd_per_hour") is None]
    text = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    cost = sum(r["usd_per_hour"] for r in solved)
    gpus = sum(r["gpus_rented"] for r in solved)
    total = f"All solved scenarios together: {gpus:,} GPUs at ${cost:,.2f} per hour."
    return Document(
        title="Batch of scenarios",
        headline=f"{counted(len(rows), 'scenario')}: {text}.",
        sections=(
            Section("totals", "Totals", (Paragraph(total),)),
            Section("ranking", "Cheapest first", _tables("ranking", "Solved", _RANKING, solved)),
            Section(
                "others",
                "Without a plan",
                _tables("others", "Not solved", ("id", "status", "error"), others),
            ),
        ),
        data=(
            Table(
                "rows",
                "All rows",
                tuple(Column(name, name, _QUANTITY.get(name, Quantity.TEXT)) for name in columns),
                tuple(tuple(_value(r.get(name)) for name in columns) for r in rows),
            ),
        ),
    )


def _tables(
    key: str, title: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> tuple[Table, ...]:
    if not rows:
        return ()
    columns = tuple(Column(n, _TITLES[n], _QUANTITY.get(n, Quantity.TEXT)) for n in names)
    shown = tuple(tuple(_value(r.get(n)) for n in names) for r in rows[:SHOWN])
    note = f"{len(rows) - SHOWN:,} more in rows.csv" if len(rows) > SHOWN else ""
    return (Table(key, title, columns, shown, note),)


def _value(value: Any) -> float | int | str | None:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
