"""Nested reports: GuideLLM, genai-perf, AIPerf (summary and per request), inference-perf, llm-d.

In all of them ``inter_token_latency`` is the time after the first token over the tokens after it, which is
TPOT here; GuideLLM's ``time_per_output_token_ms`` counts the first token too and is not used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from planner.accuracy.bench.json_values import (
    SECONDS,
    Document,
    dig,
    items,
    maybe,
    positive,
    section,
    text,
)
from planner.accuracy.bench.result import BenchResult, closed_or_not
from planner.accuracy.measures import Measure
from planner.accuracy.point import LoadKind
from planner.errors import InputError
from planner.workload.trace import Trace

_NAMES = {
    "ttft": ("time_to_first_token", "time_to_first_token_ms"),
    "tpot": ("inter_token_latency", "inter_token_latency_ms", "time_per_output_token"),
    "e2e": ("request_latency",),
}
_PERCENTILE = re.compile(r"p(\d{1,2})(?:p(\d))?")
ALWAYS_FULL = 0.8  # share of a run with the most requests in flight from which it was a closed loop


def guidellm_results(report: Document, where: str) -> Iterator[BenchResult]:
    """The benchmarks of a GuideLLM report, each with the strategy it was run under."""
    for place, benchmark in enumerate(items(report, "benchmarks")):
        at = f"{where}: benchmarks[{place}]"
        metrics = section(benchmark, "metrics")
        if not metrics:
            raise InputError("a GuideLLM benchmark has metrics", where=at, found=benchmark)

        def summary(name: str, metrics: Document = metrics) -> Document:
            return section(metrics, name, "successful") or section(metrics, name, "total")

        requests = maybe(metrics, "request_totals", "successful")
        count = int(requests or maybe(summary("request_latency"), "count") or 0)
        load, concurrency, rate = _strategy(report, benchmark, place, count, at)
        measures = _latencies({name: summary(name) for name in metrics}, unitless=True)
        duration = maybe(benchmark, "duration")
        output_rate = maybe(summary("output_tokens_per_second"), "mean")
        totals = {"makespan_s": duration, "output_tokens_per_s": output_rate}
        yield BenchResult(
            tool="GuideLLM",
            model=_guidellm_model(report, benchmark),
            prompt_tokens=positive(
                summary("prompt_token_count"), "mean", f"{at}: prompt_token_count"
            ),
            output_tokens=positive(
                summary("output_token_count"), "mean", f"{at}: output_token_count"
            ),
            measures=_needed(measures, at) | {Measure(k): v for k, v in totals.items() if v},
            concurrency=concurrency,
            load=load,
            rate_qps=rate,
            requests=count,
        )


def _strategy(
    report: Document, benchmark: object, place: int, requests: int, where: str
) -> tuple[LoadKind, float, float]:
    """How a GuideLLM benchmark sent its requests, wherever this release keeps it."""
    strategy: Document = {}
    for path in (("config", "strategy"), ("args", "strategy"), ("scheduler", "strategy")):
        strategy = strategy or section(benchmark, *path)
    kind = text(strategy, "type_") or text(strategy, "kind") or text(report, "args", "profile")
    requested = maybe(report, "args", "rate", place) or maybe(report, "args", "rate")
    streams = maybe(strategy, "streams") or maybe(strategy, "max_concurrency")
    rate = maybe(strategy, "rate") or maybe(strategy, "initial_rate")
    if kind in ("synchronous", "sync"):
        return LoadKind.CLOSED, 1.0, 0.0
    if kind in ("concurrent", "concurrency"):
        return closed_or_not(streams or requested, None, False, requests, where)
    if kind in ("constant", "poisson", "async"):
        return closed_or_not(
            maybe(strategy, "max_concurrency"), rate or requested, False, requests, where
        )
    if kind == "throughput":
        return closed_or_not(streams, None, True, requests, where)
    return closed_or_not(None, None, False, requests, where)


def _guidellm_model(report: Document, benchmark: object) -> str:
    for value, path in (
        (report, ("args", "model")),
        (report, ("args", "backend_kwargs", "model")),
        (report, ("config", "spec", "backend", "model")),
        (benchmark, ("config", "backend", "model")),
        (benchmark, ("worker", "backend_model")),
        (report, ("args", "processor")),
        (benchmark, ("request_loader", "processor")),
    ):
        if text(value, *path):
            return text(value, *path)
    return ""


def perf_result(document: Document, where: str) -> BenchResult:
    """The summary of genai-perf or AIPerf."""
    records = section(document, "records") or document
    config = section(document, "input_config")
    measures = _needed(_latencies(records), where)
    aiperf = "records" in document or "aiperf_version" in document or "loadgen" in config
    phase = next(
        (p for p in items(config, "phases") if text(p, "name") in ("profiling", "")), None
    ) or dig(config, "phases", -1)
    limit = (
        maybe(phase, "concurrency")
        or maybe(config, "loadgen", "concurrency")
        or maybe(config, "perf_analyzer", "stimulus", "concurrency")
        or maybe(config, "concurrency")
    )
    rate = (
        maybe(phase, "request_rate")
        or maybe(phase, "rate")
        or maybe(config, "loadgen", "request_rate")
        or maybe(config, "perf_analyzer", "stimulus", "request_rate")
        or maybe(config, "request_rate")
    )
    count = int(maybe(records, "request_count", "avg") or 0)
    load, concurrency, rate_qps = closed_or_not(limit, rate, False, count, where)
    names = (
        items(config, "endpoint", "model_names")
        or items(config, "model_names")
        or [text(item, "name") for item in items(config, "models", "items")]
    )
    output_rate = maybe(records, "output_token_throughput", "avg")
    totals = {Measure("output_tokens_per_s"): output_rate} if output_rate else {}
    return BenchResult(
        tool="AIPerf" if aiperf else "genai-perf",
        model=str(names[0]) if names else "",
        prompt_tokens=_average(records, "input_sequence_length", where),
        output_tokens=_average(records, "output_sequence_length", where),
        measures=measures | totals,
        concurrency=concurrency,
        load=load,
        rate_qps=rate_qps,
        requests=count,
    )


def record_result(records: Sequence[Document], where: str) -> BenchResult:
    """The requests of an AIPerf export, one record each, replayed as they were sent.

    Where the most requests were in flight nearly all the time, each answer released the next.
    """
    good = [
        record
        for record in records
        if dig(record, "error") is None
        and text(record, "metadata", "benchmark_phase") in ("profiling", "")
        and dig(record, "metadata", "was_cancelled") is not True
    ]
    failed = sum(dig(record, "error") is not None for record in records)
    starts = [_stamp(record, "request_start_ns", where) for record in good]
    ends = [_stamp(record, "request_end_ns", where) for record in good]
    if not good:
        raise InputError("no finished request among the records", where=where)
    order = np.argsort(starts, kind="stable")
    good = [good[i] for i in order]
    arrivals = (np.array(starts)[order] - min(starts)) / 1e9
    prompts = _values(good, "input_sequence_length", where)
    outputs = _values(good, "output_sequence_length", where)
    most, full = _in_flight(starts, ends)
    closed = full >= ALWAYS_FULL and len(good) > most
    measures: dict[Measure, float] = {}
    for metric, name in (
        ("ttft", "time_to_first_token"),
        ("tpot", "inter_token_latency"),
        ("e2e", "request_latency"),
    ):
        found = [_metric_s(record, name) for record in good]
        values = np.array([value for value in found if value is not None])
        if len(values):
            measures[Measure(metric)] = float(values.mean())
            for percentile in (50.0, 90.0, 99.0):
                measures[Measure(metric, percentile)] = float(np.percentile(values, percentile))
    measures[Measure("makespan_s")] = (max(ends) - min(starts)) / 1e9
    rate = 0.0 if closed or len(good) < 2 else (len(good) - 1) / max(float(arrivals[-1]), 1e-9)
    return BenchResult(
        tool="AIPerf (requests)",
        model=text(good[0], "metadata", "model") or text(good[0], "metadata", "model_name"),
        prompt_tokens=float(prompts.mean()),
        output_tokens=float(outputs.mean()),
        measures=_needed(measures, where),
        concurrency=float(most) if closed or len(good) < 2 else 0.0,
        load=LoadKind.CLOSED if closed or len(good) < 2 else LoadKind.OPEN,
        rate_qps=rate,
        requests=len(good),
        failed=failed,
        lengths=Trace(
            where, prompts.astype(np.int64), outputs.astype(np.int64), None if closed else arrivals
        ),
    )


def is_record(document: Document) -> bool:
    """Whether an object is one request of an AIPerf export."""
    return "request_start_ns" in section(document, "metadata") and "metrics" in document


def inference_perf_result(document: Document, where: str) -> BenchResult:
    """The summary of inference-perf; open loop at the rate that was requested."""
    success, load = section(document, "successes"), section(document, "load_summary")
    count = int(positive(success, "count", f"{where}: successes"))
    rate = maybe(load, "requested_rate") or maybe(load, "achieved_rate")
    limit = maybe(load, "concurrency")
    sent, concurrency, rate_qps = closed_or_not(limit, None if limit else rate, False, count, where)
    output_rate = maybe(success, "throughput", "output_tokens_per_sec")
    totals = {Measure("output_tokens_per_s"): output_rate} if output_rate else {}
    return BenchResult(
        tool="inference-perf",
        model="",
        prompt_tokens=positive(section(success, "prompt_len"), "mean", f"{where}: prompt_len"),
        output_tokens=positive(section(success, "output_len"), "mean", f"{where}: output_len"),
        measures=_needed(_latencies(section(success, "latency"), unitless=True), where) | totals,
        concurrency=concurrency,
        load=sent,
        rate_qps=rate_qps,
        requests=count,
        failed=int(maybe(document, "failures", "count") or 0),
    )


def llm_d_result(document: Document, where: str) -> BenchResult:
    """A benchmark report of llm-d (schema versions 0.1 and 0.2)."""
    newer = section(document, "results", "request_performance", "aggregate")
    metrics = newer or section(document, "metrics")
    requested = section(document, "scenario", "load", "standardized") or section(
        document, "scenario", "load", "args"
    )
    count = int(maybe(metrics, "requests", "total") or 0)
    rate = (
        maybe(requested, "rate_qps")
        or maybe(requested, "request_rate")
        or maybe(requested, "request-rate")
    )
    limit = next(
        (
            n
            for k in ("concurrency", "max_concurrency", "max-concurrency")
            if (n := maybe(requested, k))
        ),
        None,
    )
    at_once = any(dig(requested, key) in (math.inf, "inf") for key in ("rate_qps", "request_rate"))
    load, concurrency, rate_qps = closed_or_not(limit, rate, at_once, count, where)
    return BenchResult(
        tool="llm-d-benchmark",
        model=text(document, "scenario", "model", "name")
        or text(document, "scenario", "stack", 0, "standardized", "model", "name"),
        prompt_tokens=positive(section(metrics, "requests", "input_length"), "mean", where),
        output_tokens=positive(section(metrics, "requests", "output_length"), "mean", where),
        measures=_needed(_latencies(section(metrics, "latency")), where) | _rates(metrics),
        concurrency=concurrency,
        load=load,
        rate_qps=rate_qps,
        requests=count,
        found=_llm_d_layout(document),
    )


def _rates(metrics: Document) -> dict[Measure, float]:
    output = maybe(metrics, "throughput", "output_token_rate", "mean") or maybe(
        metrics, "throughput", "output_tokens_per_sec"
    )
    duration = maybe(metrics, "time", "duration")
    found = {"output_tokens_per_s": output, "makespan_s": duration}
    return {Measure(name): value for name, value in found.items() if value}


def _llm_d_layout(document: Document) -> dict[str, str]:
    """Degrees of the engine a report describes; GPU names there are a driver's, not a catalog's."""
    degrees = section(document, "scenario", "host", "accelerator", 0, "parallelism") or section(
        document, "scenario", "stack", 0, "standardized", "accelerator", "parallelism"
    )
    names = {"tensor_parallel": "tp", "expert_parallel": "ep", "data_parallel": "dp"}
    return {name: f"{value:g}" for name, key in names.items() if (value := maybe(degrees, key))}


def _latencies(summaries: Document, unitless: bool = False) -> dict[Measure, float]:
    """Means and percentiles of the latencies in summaries [s].

    unitless: the unit is in the name (``_ms``), seconds without; else beside the values, or ms.
    """
    measures: dict[Measure, float] = {}
    for metric, names in _NAMES.items():
        name = next((n for n in names if section(summaries, n)), None)
        if name is None:
            continue
        summary = section(summaries, name)
        unit = text(summary, "unit") or text(summary, "units")
        default = 1e-3 if name.endswith("_ms") or not unitless else 1.0
        scale = SECONDS.get(unit.lower(), default)
        mean = maybe(summary, "avg") or maybe(summary, "mean")
        if mean is not None:
            measures[Measure(metric)] = mean * scale
        median = maybe(summary, "median")
        if median is not None:
            measures[Measure(metric, 50.0)] = median * scale
        for key in (*summary, *section(summary, "percentiles")):
            match = _PERCENTILE.fullmatch(key)
            value = maybe(summary, key) or maybe(summary, "percentiles", key)
            if match is not None and value is not None and int(match[1]) >= 50:
                percentile = float(f"{match[1]}.{match[2] or 0}")
                measures[Measure(metric, percentile)] = value * scale
    return measures


def _needed(measures: dict[Measure, float], where: str) -> dict[Measure, float]:
    """The measures, where they hold a time per token; InputError naming what was not recorded."""
    if any(m.metric in ("ttft", "tpot") for m in measures):
        return measures
    raise InputError(
        "no time to first token or between tokens was recorded",
        where=where,
        action="measure with streaming (--streaming): an answer in one piece has neither",
    )


def _average(records: Document, name: str, where: str) -> float:
    return positive(section(records, name), "avg", f"{where}: {name}")


def _stamp(record: Document, name: str, where: str) -> float:
    return positive(section(record, "metadata"), name, f"{where}: metadata")


def _values(records: Sequence[Document], name: str, where: str) -> np.ndarray:
    return np.array(
        [
            positive(section(r, "metrics", name), "value", f"{where}: metrics.{name}")
            for r in records
        ]
    )


def _metric_s(record: Document, name: str) -> float | None:
    value = maybe(record, "metrics", name, "value")
    unit = text(record, "metrics", name, "unit").lower()
    return None if value is None else value * SECONDS.get(unit, 1e-3)


def _in_flight(starts: Sequence[float], ends: Sequence[float]) -> tuple[int, float]:
    """The most requests in flight at once, and for which share of the run there were as many."""
    events = sorted([(t, 1) for t in starts] + [(t, -1) for t in ends])
    now, most, held = 0, 0, {0: 0.0}
    last = events[0][0]
    for at, change in events:
        held[now] = held.get(now, 0.0) + at - last
        now, last = now + change, at
        most = max(most, now)
    total = max(sum(held.values()), 1e-12)
    return most, held.get(most, 0.0) / total
