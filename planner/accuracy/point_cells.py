"""The cells of one row of a table of points, read into a point; ValueError names the bad cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from planner.accuracy.measures import LATENCIES, TPOT, TTFT, Measure, column
from planner.accuracy.point import LoadKind, MeasuredPoint, PoolLayout, RunSettings
from planner.errors import InputError
from planner.workload.trace import Trace, read_trace

LONGEST_S = 3600.0
LONGEST_RUN_S = 366 * 86_400.0
_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off", "")
NOT_SPECULATIVE = ("", "none", "off", "false", "no")

Cells = Mapping[str, str]


def point_of(cells: Cells, folder: Path) -> MeasuredPoint:
    """Return the point of a row; ``folder``: where a lengths_file is looked for.

    Raises ValueError naming the cell that is wrong.
    """
    for name in ("model", "gpu", "engine", "weights"):
        if not cells[name]:
            raise ValueError(f"{name} is empty")
    measured = _measured(cells)
    lengths = _lengths(cells.get("lengths_file", ""), folder)
    load, rate = _load(cells, lengths)
    requests = _maybe_count("requests", cells) or (len(lengths) if lengths else 0)
    point = MeasuredPoint(
        model=cells["model"],
        gpu=cells["gpu"],
        engine=cells["engine"],
        weights=cells["weights"],
        tensor_parallel=_maybe_count("tensor_parallel", cells) or 1,
        prompt_tokens=_length("prompt_tokens", cells, lengths),
        output_tokens=_length("output_tokens", cells, lengths),
        concurrency=_concurrency(cells, load, requests),
        ttft_ms=measured.pop(TTFT, math.nan) * 1e3,
        tpot_ms=measured.pop(TPOT, math.nan) * 1e3,
        engine_version=cells.get("engine_version", ""),
        kv_cache=cells.get("kv_cache", ""),
        measured_on=cells.get("measured_on", ""),
        source=cells.get("source", ""),
        weight=_share("weight", cells) or 1.0,
        others=tuple(measured.items()),
        load=load,
        rate_qps=rate,
        requests=requests,
        length_spread=_share("length_spread", cells),
        lengths=lengths,
        settings=_settings(cells),
        acceptance=_positive("acceptance", cells),
        data_parallel=_degree("data_parallel", cells),
        expert_parallel=_degree("expert_parallel", cells),
        pipeline_parallel=_degree("pipeline_parallel", cells),
    )
    point = _with_pools(_with_speculation(point, cells.get("speculative", "")), cells)
    if point.output_tokens < 2 and any(m.metric in ("tpot", "itl") for m in point.measures):
        raise ValueError("output_tokens is 1: a single token has no time per output token")
    return point


def _measured(cells: Cells) -> dict[Measure, float]:
    """What the row measured, in seconds and tokens/s; the first column of a quantity counts."""
    found: dict[Measure, float] = {}
    for name, cell in cells.items():
        known = column(name) if cell else None
        if known is None:
            continue
        value = number(name, cell)
        if value <= 0:
            raise ValueError(f"{name} is {cell!r}, expected a value above 0")
        seconds = value * known.unit
        if known.measure.metric in LATENCIES and seconds > LONGEST_S and name.endswith("_ms"):
            raise ValueError(
                f"{name} is {cell!r} ms, more than an hour; was it given in microseconds?"
            )
        if name.endswith("_s") and seconds > LONGEST_RUN_S:
            raise ValueError(f"{name} is {cell!r} s, more than a year")
        found.setdefault(known.measure, seconds)
    if not found:
        raise ValueError("nothing was measured: ttft_ms, tpot_ms and the like are all empty")
    return found


def _load(cells: Cells, lengths: Trace | None) -> tuple[LoadKind, float]:
    """How requests were sent, and at which rate; stated by ``load``, else by what else is given."""
    text = cells.get("load", "").lower()
    rate_text = cells.get("rate", "").lower()
    rate = 0.0 if rate_text in ("", "inf", "infinity") else number("rate", rate_text)
    if rate < 0:
        raise ValueError(f"rate is {rate_text!r}, expected requests/s above 0")
    if text and text not in list(LoadKind):
        raise ValueError(f"load is {text!r}, expected {', '.join(LoadKind)}")
    if not text:
        load = LoadKind.OPEN if rate else LoadKind.CLOSED
        if not rate and not cells.get("concurrency"):
            load = LoadKind.OFFLINE
    else:
        load = LoadKind(text)
    timed = lengths is not None and lengths.arrival_s is not None
    if load is LoadKind.OPEN and not rate and not timed:
        raise ValueError(
            "rate is empty: an open loop needs requests/s, or arrivals in lengths_file"
        )
    return load, rate if load is LoadKind.OPEN else 0.0


def _concurrency(cells: Cells, load: LoadKind, requests: int) -> int:
    """Requests in flight at most; 0 in an open loop that has no such limit."""
    if load is LoadKind.OFFLINE:
        sent = requests or _maybe_count("concurrency", cells)
        if not sent:
            raise ValueError("requests is empty: how many were sent at once?")
        return sent
    if load is LoadKind.OPEN and not cells.get("concurrency"):
        return 0
    return _count("concurrency", cells.get("concurrency", ""))


def _lengths(name: str, folder: Path) -> Trace | None:
    if not name:
        return None
    path = folder / name
    if not path.is_file():
        raise ValueError(f"lengths_file is {name!r}: there is no such file beside the table")
    try:
        return read_trace(str(path))
    except InputError as problem:
        raise ValueError(f"lengths_file {name}: {' '.join(str(problem).split())}") from None


def _length(name: str, cells: Cells, lengths: Trace | None) -> int:
    if cells.get(name):
        return _count(name, cells[name])
    if lengths is None:
        raise ValueError(f"{name} is empty")
    values = lengths.prompt_tokens if name == "prompt_tokens" else lengths.output_tokens
    return max(1, round(float(values.mean())))


def _settings(cells: Cells) -> RunSettings:
    fraction = _share("memory_fraction", cells)
    return RunSettings(
        max_num_seqs=_maybe_count("max_num_seqs", cells),
        max_num_batched_tokens=_maybe_count("max_num_batched_tokens", cells),
        memory_fraction=fraction,
        max_model_len=_maybe_count("max_model_len", cells),
        eager=_flag("eager", cells),
        graphs_max_batch=_maybe_count("graphs_max_batch", cells),
        graph_padding=_flag("graph_padding", cells) if cells.get("graph_padding") else None,
    )


def _with_speculation(point: MeasuredPoint, text: str) -> MeasuredPoint:
    """``mtp``, ``eagle3``, with the drafted tokens after a colon (``mtp:3``), or those alone."""
    text = text.lower()
    if text in NOT_SPECULATIVE:
        if point.acceptance is not None and point.acceptance != 1:
            raise ValueError("acceptance is given, but speculative says none")
        return replace(point, acceptance=None)
    name, _, drafted = text.rpartition(":") if ":" in text else (text, "", "")
    if text.isdigit():
        name, drafted = "draft", text
    tokens = _count("speculative", drafted) if drafted else None
    return replace(point, speculative=name, draft_tokens=tokens)


def _with_pools(point: MeasuredPoint, cells: Cells) -> MeasuredPoint:
    """The layout in ``prefill_*`` and ``decode_*`` where given; else ``gpus`` is checked."""
    gpus = None if cells.get("gpus") == "0" else _maybe_count("gpus", cells)
    if not cells.get("decode_tensor_parallel"):
        if cells.get("prefill_tensor_parallel"):
            raise ValueError("decode_tensor_parallel is empty, but there is a prefill pool")
        if not cells.get("tensor_parallel"):
            raise ValueError("tensor_parallel is empty")
        return point if gpus in (None, point.gpus) else _over_gpus(point, gpus)
    decode = _pool("decode", cells)
    prefill = _pool("prefill", cells) if cells.get("prefill_tensor_parallel") else None
    point = replace(
        point,
        tensor_parallel=decode.tensor_parallel,
        data_parallel=decode.data_parallel,
        expert_parallel=decode.expert_parallel,
        replicas=decode.workers,
        prefill=prefill,
    )
    if gpus not in (None, point.gpus):
        raise ValueError(f"gpus is {gpus}, but the pools have {point.gpus}")
    return point


def _pool(side: str, cells: Cells) -> PoolLayout:
    """One pool; GPUs per worker follow from ``*_gpus`` where the degrees leave them open.

    Under attention DP every GPU of a worker is a rank of its own, as engines launch it.
    """
    workers = _maybe_count(f"{side}_workers", cells) or 1
    tp = _count(f"{side}_tensor_parallel", cells[f"{side}_tensor_parallel"])
    ep = _degree(f"{side}_expert_parallel", cells)
    gpus = _maybe_count(f"{side}_gpus", cells) or workers * max(tp, ep)
    each, rest = divmod(gpus, workers)
    if rest or each < tp:
        raise ValueError(f"{side}_gpus is {gpus}, which {workers} workers of TP{tp} do not divide")
    if _flag(f"{side}_attention_dp", cells):
        return PoolLayout(workers, 1, each, each)
    if ep == 1 and each % tp == 0:
        return PoolLayout(workers * (each // tp), tp)
    return PoolLayout(workers, each, 1, each if ep > 1 else 1)


def _over_gpus(point: MeasuredPoint, gpus: int | None) -> MeasuredPoint:
    """Read ``tensor_parallel`` as SGLang does: the ranks of all attention-DP groups together."""
    count = gpus or 0
    share, rest = divmod(count, point.data_parallel * point.pipeline_parallel)
    if rest or share < 1 or count != point.tensor_parallel * point.pipeline_parallel:
        raise ValueError(f"gpus is {count}, but TP x PP x DP is {point.gpus}")
    return replace(point, tensor_parallel=share)


def _degree(name: str, cells: Cells) -> int:
    """A degree of parallelism; 0 says, as a blank does, that there is none."""
    return 1 if cells.get(name) in (None, "", "0") else _count(name, cells[name])


def _maybe_count(name: str, cells: Cells) -> int | None:
    return _count(name, cells[name]) if cells.get(name) else None


def _count(name: str, text: str) -> int:
    value = number(name, text)
    if value != int(value) or not 1 <= value <= 1e7:
        raise ValueError(f"{name} is {text!r}, expected a whole number of at least 1")
    return int(value)


def _share(name: str, cells: Cells) -> float | None:
    value = _positive(name, cells)
    if value is not None and value > 1:
        raise ValueError(f"{name} is {cells[name]!r}, expected a number above 0 and at most 1")
    return value


def _positive(name: str, cells: Cells) -> float | None:
    if not cells.get(name):
        return None
    value = number(name, cells[name])
    if value <= 0:
        raise ValueError(f"{name} is {cells[name]!r}, expected a number above 0")
    return value


def _flag(name: str, cells: Cells) -> bool:
    text = cells.get(name, "").lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"{name} is {text!r}, expected true or false")
    return text in _YES


def number(name: str, text: str) -> float:
    """Return a finite number; ValueError naming the cell."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text!r}, expected a finite number")
    return value
