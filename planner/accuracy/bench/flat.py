"""Results with flat keys: vLLM, SGLang, InferenceX, llm-optimizer, and the table they print.

Latencies are ``<statistic>_<metric>_ms``, or without ``_ms`` in seconds (InferenceX). The tools count
gaps differently where a step yields several tokens: vLLM has one per piece a client receives, SGLang
shares it among the piece's tokens. Points hold the former; SGLang's is multiplied by the tokens of a
piece (``accept_length``), or left out where tokens were drafted and it does not say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from planner.accuracy.bench.json_values import Document, dig, items, maybe, positive, section, text
from planner.accuracy.bench.result import BenchResult, closed_or_not
from planner.accuracy.measures import Measure
from planner.errors import InputError
from planner.workload.trace import Trace

_DRAFTING = ("speculative_algorithm", "speculative_draft_model_path")
_LIMITS = ("max_concurrency", "concurrency", "conc")
_METRICS = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2el": "e2e", "e2e_latency": "e2e"}
_KEY = re.compile(
    r"(?P<statistic>mean|median|p\d{1,2}(?:\.\d+)?)_"
    r"(?P<metric>ttft|tpot|itl|e2el|e2e_latency)(?P<ms>_ms)?"
)
_CONSOLE = {
    "successful requests": "completed",
    "failed requests": "failed",
    "maximum request concurrency": "max_concurrency",
    "max request concurrency": "max_concurrency",
    "request rate configured (rps)": "request_rate",
    "traffic request rate": "request_rate",
    "benchmark duration (s)": "duration",
    "total input tokens": "total_input_tokens",
    "total generated tokens": "total_output_tokens",
    "output token throughput (tok/s)": "output_throughput",
    "backend": "backend",
}
_CONSOLE_LATENCY = re.compile(
    r"(mean|median|p\d+(?:\.\d+)?) (ttft|tpot|itl|e2el|e2e latency) \(ms\)"
)


def is_flat(document: Document) -> bool:
    """Whether a result has flat keys of latencies."""
    return any(_KEY.fullmatch(key) for key in document)


def flat_result(document: Document, where: str) -> BenchResult:
    """Return the run of one flat result; InputError naming what is missing."""
    completed = _completed(document, where)
    sglang = "server_info" in document or "mean_e2e_latency_ms" in document
    measures = _measures(document, sglang, where)
    if not any(m.metric in ("ttft", "tpot", "e2e") for m in measures):
        raise InputError("no latency was recorded", where=where, found=", ".join(document))
    rate = maybe(document, "request_rate")
    limit = next((key for key in _LIMITS if dig(document, key) not in (None, 0, "None")), None)
    in_flight = None if limit is None else positive(document, limit, where)
    at_once = str(dig(document, "request_rate")).lower() in ("inf", "infinity")
    load, concurrency, rate_qps = closed_or_not(in_flight, rate, at_once, completed, where)
    lengths = _lengths(document, where)
    prompt, output, spread = _mean_lengths(document, completed, sglang, where)
    found = _deployment(document)
    return BenchResult(
        tool="InferenceX" if found else "SGLang bench_serving" if sglang else "vllm bench serve",
        model=text(document, "model_id") or text(document, "model"),
        prompt_tokens=prompt,
        output_tokens=output,
        measures=measures,
        concurrency=concurrency,
        load=load,
        rate_qps=rate_qps,
        requests=completed,
        failed=_failed(document, completed),
        spread=spread,
        lengths=lengths,
        found=found,
        request_class=text(document, "request_class"),
    )


def optimizer_results(document: Document) -> Iterable[Document]:
    """The runs of an llm-optimizer report as flat results: what was measured beside what was requested."""
    for run in items(document, "results") or items(document, "tests") or [document]:
        measured = section(run, "results") or section(run, "metrics")
        if is_flat(measured):
            requested = section(run, "config", "client_args") or section(run, "client_args")
            server = section(run, "config", "server_args") or section(run, "server_args")
            named = {
                key: value
                for key in ("model", "model_id", "gpu", "server_type")
                if (value := dig(run, key) or dig(run, "config", key)) is not None
            }
            yield {**named, **requested, **measured, "server_args": server}


def console_results(lines: Iterable[str]) -> Iterable[Document]:
    """The tables a tool prints, each as a flat result."""
    found: dict[str, object] = {}
    for line in lines:
        name, separator, value = line.strip().strip("|# ").partition(":")
        if "serving benchmark result" in line.lower():
            if "completed" in found:
                yield found
                found = {}
            continue
        if not separator:
            continue
        key, cell = " ".join(name.lower().split()), value.strip().split(" ")[0]
        latency = _CONSOLE_LATENCY.fullmatch(key)
        if latency is not None:
            found[f"{latency[1]}_{latency[2].replace(' ', '_')}_ms"] = _number(cell)
        elif key in _CONSOLE:
            found[_CONSOLE[key]] = _number(cell)
    if "completed" in found:
        yield found


def _completed(document: Document, where: str) -> int:
    """Requests that were answered; aggregated InferenceX files leave them to the concurrency."""
    if "completed" in document or "conc" not in document:
        return int(positive(document, "completed", where))
    return 0


def _failed(document: Document, completed: int) -> int:
    """Requests that were not answered: as counted, else what is missing of those that were sent."""
    counted = maybe(document, "failed")
    if counted is not None:
        return int(counted)
    return max(0, int(maybe(document, "num_prompts") or 0) - completed) if completed else 0


def _measures(document: Document, sglang: bool, where: str) -> dict[Measure, float]:
    measures: dict[Measure, float] = {}
    for key in document:
        match = _KEY.fullmatch(key)
        if match is None or dig(document, key) in (None, 0, 0.0):
            continue
        seconds = positive(document, key, where) * (1e-3 if match["ms"] else 1.0)
        measures[Measure(_METRICS[match["metric"]], _percentile(match["statistic"]))] = seconds
    for name, key in (("makespan_s", "duration"), ("output_tokens_per_s", "output_throughput")):
        value = maybe(document, key)
        if value is not None:
            measures[Measure(name)] = value
    for name, key in (
        ("tokens_per_s_per_gpu", "tput_per_gpu"),
        ("output_tokens_per_s_per_gpu", "output_tput_per_gpu"),
    ):
        value = maybe(document, key)
        if value is not None:
            measures[Measure(name)] = value
    return _gaps_per_piece(measures, document) if sglang else measures


def _gaps_per_piece(measures: Mapping[Measure, float], document: Document) -> dict[Measure, float]:
    """SGLang's gaps per token as gaps between the pieces that a client receives."""
    tokens = maybe(document, "accept_length")
    drafting = any(dig(document, "server_info", key) for key in _DRAFTING)
    if tokens is None and drafting:
        return {m: value for m, value in measures.items() if m.metric != "itl"}
    return {m: v * (tokens or 1.0) if m.metric == "itl" else v for m, v in measures.items()}


def _percentile(statistic: str) -> float | None:
    return (
        {"mean": None, "median": 50.0}[statistic] if statistic[0] == "m" else float(statistic[1:])
    )


def _mean_lengths(
    document: Document, completed: int, sglang: bool, where: str
) -> tuple[float, float, float | None]:
    """Prompt and output tokens, and how their lengths spread where the file says."""
    requested = maybe(document, "isl"), maybe(document, "osl")
    if requested[0] is not None and requested[1] is not None:
        return requested[0], requested[1], 0.8
    ratio = maybe(document, "random_range_ratio")
    nominal = maybe(document, "random_input_len"), maybe(document, "random_output_len")
    if sglang and ratio and nominal[0] is not None and nominal[1] is not None:
        return nominal[0], nominal[1], min(ratio, 1.0)
    prompt = positive(document, "total_input_tokens", where) / completed
    if "total_output_tokens" not in document and "mean_ttft_ms" not in document:
        return prompt, 1.0, None  # prompts that are pooled: vLLM's embedding and rerank clients
    return prompt, positive(document, "total_output_tokens", where) / completed, None


def _lengths(document: Document, where: str) -> Trace | None:
    """Each request's own lengths, where the result was saved with them."""
    prompts, outputs = items(document, "input_lens"), items(document, "output_lens")
    if not prompts or len(prompts) != len(outputs):
        return None
    pairs = [
        (p, o)
        for p, o in zip(prompts, outputs, strict=True)
        if isinstance(p, int) and isinstance(o, int) and p > 0 and o > 0
    ]
    if not pairs:
        return None
    table = np.array(pairs, dtype=np.int64)
    return Trace(where, table[:, 0], table[:, 1])


def _deployment(document: Document) -> dict[str, str]:
    """What an InferenceX result says of the deployment."""
    names = {
        "gpu": "hw",
        "engine": "framework",
        "weights": "precision",
        "tensor_parallel": "tp",
        "expert_parallel": "ep",
    }
    if "hw" not in document:
        return {}
    found = {name: str(dig(document, key)) for name, key in names.items() if dig(document, key)}
    found["engine"] = found.get("engine", "").removeprefix("dynamo-")
    return found


def _number(cell: str) -> object:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return cell
