"""Runs with speculative decoding among those of a table that does not record it.

Some runs of ``serving_points.csv`` also stand, by percentiles, in ``percentile_points.csv``, which tells
runs with drafts and without apart. A run whose time per output token is that of the run with drafts at its
layout and load, and not that of the one without, had them; so had the rest of its series.

Where no run with drafts was recorded, twice the GPUs tell. Of 328 pairs of runs without drafts at up to 16 in
flight, equal but for tensor parallelism and at most 50 days apart, none takes less than 0.99 of the time per
token on half the GPUs. A run that does had drafts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

Row = dict[str, str]

ALIKE = (
    0.1  # of the time per output token: runs of one image differ by 1 to 8 % (mean against median)
)
DAYS = 50  # between the two runs: images change within months
ON_HALF = (
    0.95  # of the time per token on twice as many GPUs, where 0.99 is the least without drafts
)
FEW = 16  # requests in flight: beyond, the smaller replica may run out of cache and serve fewer at a time
_LENGTHS = ("prompt_tokens", "output_tokens")
_DEGREES = ("tensor_parallel", "data_parallel", "expert_parallel")
_SERIES = ("model", "gpu", "engine", "engine_version", "weights", *_DEGREES, *_LENGTHS)


def mark_drafted(rows: Sequence[Row], percentiles: Sequence[Row], engines: dict[str, str]) -> None:
    """Set ``speculative`` and ``note`` of the runs of ``rows`` that had drafts.

    A run of a series (layout, release and lengths) in which others had drafts had them too, unless it is
    like a run without or another run of its load took longer. engines: other names of engines.
    """
    known: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in percentiles:
        if not row["prefill_workers"]:
            known[_key(row, row["decode_tensor_parallel"], row["decode_attention_dp"])].append(row)
    series: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    plain: list[int] = []
    for row in rows:
        gpus = str(int(row["tensor_parallel"]) * int(row["data_parallel"]))
        ranks = str(int(int(row["data_parallel"]) > 1))
        named = row | {"engine": engines.get(row["engine"], row["engine"])}
        same = known[_key(named, gpus, ranks)] if row["measured_on"] else []
        drafted = _nearest(row, [other for other in same if other["speculative"] == "mtp"])
        without = _nearest(row, [other for other in same if other["speculative"] != "mtp"])
        if without is not None and _off(row, without) < ALIKE:
            plain.append(id(row))
        elif drafted is not None and _off(row, drafted) < ALIKE:
            series[_of(row)].append(row)
            row["speculative"] = "mtp"
            row["note"] = f"as the MTP run of this layout and load ({_told(drafted)})"
            if without is not None:
                row["note"] += f", not as the one without drafts ({_told(without)})"
    for row, larger in _faster_on_half(rows):
        series[_of(row)].append(row)
        row["speculative"] = "mtp"
        row["note"] = (
            f"{float(row['tpot_ms']):.3g} ms a token, {float(larger['tpot_ms']):.3g} on twice the GPUs "
            f"on {larger['measured_on']}: no run without drafts is faster on half"
        )
    for row in rows:
        if row["speculative"] or id(row) in plain or _of(row) not in series:
            continue
        slower = (
            _of(other) == _of(row)
            and other["concurrency"] == row["concurrency"]
            and float(other["tpot_ms"]) < float(row["tpot_ms"])
            for other in rows
        )
        if not any(slower):
            row["speculative"] = "mtp"
            row["note"] = "of a series whose other runs had MTP"


def _faster_on_half(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Runs not marked yet that take less time per token than one on twice as many GPUs, with that run."""
    known: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if not row["speculative"] and row["measured_on"] and int(row["concurrency"]) <= FEW:
            known[_on(row, int(row["tensor_parallel"]))].append(row)
    found = []
    for same in list(known.values()):
        for row in same:
            for larger in known.get(_on(row, 2 * int(row["tensor_parallel"])), []):
                apart = abs((_day(larger) - _day(row)).days)
                if apart <= DAYS and float(row["tpot_ms"]) < ON_HALF * float(larger["tpot_ms"]):
                    found.append((row, larger))
                    break
    return found


def _on(row: Row, tensor_parallel: int) -> tuple[str, ...]:
    names = ("model", "gpu", "engine", "weights", "data_parallel", *_LENGTHS, "concurrency")
    return (*(row[name] for name in names), str(tensor_parallel))


def _day(row: Row) -> date:
    return date.fromisoformat(row["measured_on"]) if row["measured_on"] else date.min


def _of(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in _SERIES)


def _key(row: Row, gpus: str, ranks: str) -> tuple[str, ...]:
    names = ("model", "gpu", "engine", "weights", *_LENGTHS, "concurrency")
    return (*(row[name] for name in names), gpus, ranks)


def _nearest(row: Row, others: Sequence[Row]) -> Row | None:
    """The run of these days whose time per output token is nearest."""
    near = [r for r in others if abs((_day(r) - _day(row)).days) <= DAYS]
    return min(near, key=lambda other: _off(row, other), default=None)


def _off(row: Row, other: Row) -> float:
    return abs(float(other["tpot_p50_ms"]) / float(row["tpot_ms"]) - 1)


def _told(row: Row) -> str:
    return f"TPOT {float(row['tpot_p50_ms']):.3g} ms on {row['measured_on']}"
