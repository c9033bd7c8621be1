"""Result files of load generators, read as measured points.

A file says what was asked and what came back, never the whole deployment: GPU, engine, weights and
parallelism come from the person (``Setting``). Formats:

- ``vllm bench serve --save-result`` and SGLang's ``bench_serving`` (JSON or JSON lines): flat keys
  ``mean_ttft_ms``, ``mean_tpot_ms``, ``max_concurrency``, ``completed``, ``total_input_tokens``.
- GuideLLM (JSON): ``benchmarks[].metrics.<name>.successful.mean``, times in milliseconds.
- genai-perf and AIPerf (``profile_export_*.json``): ``time_to_first_token.avg`` with a ``unit``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.accuracy.points import Point
from planner.catalog.tables import read_text
from planner.errors import InputError

MAX_RESULT_BYTES = 200_000_000
_MILLISECONDS = {"ms": 1.0, "s": 1e3, "sec": 1e3, "us": 1e-3, "ns": 1e-6}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a result file leaves out. ``model`` overrides the name the file gives."""

    gpu: str
    engine: str
    weights: str
    tensor_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    model: str = ""
    engine_version: str = ""
    kv_cache: str = ""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One run as a load generator reports it; lengths are means over its requests [tokens]."""

    tool: str
    model: str
    prompt_tokens: float
    output_tokens: float
    concurrency: float
    ttft_ms: float
    tpot_ms: float

    def point(self, setting: Setting, source: str) -> Point:
        """Return the point; its nominal lengths are those whose 0.8 to 1.0 average the means."""
        return Point(
            model=setting.model or self.model,
            gpu=setting.gpu,
            engine=setting.engine,
            weights=setting.weights,
            tensor_parallel=setting.tensor_parallel,
            prompt_tokens=max(1, round(self.prompt_tokens / 0.9)),
            output_tokens=max(2, round(self.output_tokens / 0.9)),
            concurrency=max(1, round(self.concurrency)),
            ttft_ms=self.ttft_ms,
            tpot_ms=self.tpot_ms,
            engine_version=setting.engine_version,
            data_parallel=setting.data_parallel,
            expert_parallel=setting.expert_parallel,
            kv_cache=setting.kv_cache,
            source=source,
        )


def read_bench_file(path: Path) -> list[BenchResult]:
    """Return the runs of a result file.

    Raises InputError when it is none of the known formats or holds no closed-loop run.
    """
    text = read_text(path, MAX_RESULT_BYTES, InputError)
    results = []
    for number, document in enumerate(_documents(path, text), start=1):
        where = f"{path}:{number}" if number > 1 else str(path)
        results += list(_results(document, where))
    if not results:
        raise InputError("no finished run in this file", where=str(path))
    return results


def _documents(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    try:
        parsed: Any = [json.loads(text)]
    except json.JSONDecodeError:
        try:
            parsed = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as problem:
            raise InputError(
                "neither JSON nor JSON lines",
                where=f"{path}:{problem.lineno}",
                found=problem.msg,
                action="give the JSON result of vllm, SGLang, GuideLLM, genai-perf or AIPerf",
            ) from None
    for document in parsed:
        for entry in document if isinstance(document, list) else [document]:
            if not isinstance(entry, dict):
                raise InputError("a result is a JSON object", where=str(path), found=entry)
            yield entry


def _results(document: Mapping[str, Any], where: str) -> Iterator[BenchResult]:
    if "mean_ttft_ms" in document:
        yield _flat(document, where)
    elif isinstance(document.get("benchmarks"), list):
        for benchmark in document["benchmarks"]:
            yield _guidellm(benchmark, where)
    elif "time_to_first_token" in document or "records" in document:
        yield _perf(document, where)
    else:
        raise InputError(
            "not a result file the planner knows",
            where=where,
            found=", ".join(list(document)[:8]) or "an empty object",
            allowed="vllm bench serve, SGLang bench_serving, GuideLLM, genai-perf or AIPerf",
        )


def _flat(document: Mapping[str, Any], where: str) -> BenchResult:
    """Results of vLLM and SGLang share their keys."""
    completed = _positive(document, "completed", where)
    sglang = "server_info" in document or (
        "backend" in document and "mean_e2e_latency_ms" in document
    )
    concurrency = document.get("max_concurrency") or document.get("concurrency")
    if not concurrency:
        raise _open_loop(where)
    if document.get("mean_tpot_ms") in (None, 0):
        raise InputError("no TPOT: the answers had one token", where=f"{where}: mean_tpot_ms")
    return BenchResult(
        tool="SGLang bench_serving" if sglang else "vllm bench serve",
        model=str(document.get("model_id") or document.get("model") or ""),
        prompt_tokens=_positive(document, "total_input_tokens", where) / completed,
        output_tokens=_positive(document, "total_output_tokens", where) / completed,
        concurrency=min(_positive({"concurrency": concurrency}, "concurrency", where), completed),
        ttft_ms=_positive(document, "mean_ttft_ms", where),
        tpot_ms=_positive(document, "mean_tpot_ms", where),
    )


def _guidellm(benchmark: Any, where: str) -> BenchResult:
    metrics = _dig(benchmark, "metrics")
    if not isinstance(metrics, dict):
        raise InputError("a GuideLLM benchmark has metrics", where=where, found=benchmark)

    def mean(name: str) -> float:
        value = _dig(metrics, name, "successful") or _dig(metrics, name, "total")
        return _positive(value, "mean", f"{where}: metrics.{name}")

    return BenchResult(
        tool="GuideLLM",
        model=str(_dig(benchmark, "request_loader", "processor") or ""),
        prompt_tokens=mean("prompt_token_count"),
        output_tokens=mean("output_token_count"),
        concurrency=mean("request_concurrency"),
        ttft_ms=mean("time_to_first_token_ms"),
        tpot_ms=mean("inter_token_latency_ms"),
    )


def _perf(document: Mapping[str, Any], where: str) -> BenchResult:
    records = document.get("records", document)

    def average(*names: str) -> float:
        for name in names:
            value = _dig(records, name)
            if isinstance(value, dict):
                unit = str(value.get("unit", "ms")).lower()
                return _positive(value, "avg", f"{where}: {name}") * _MILLISECONDS.get(unit, 1.0)
        raise InputError("missing metric", where=where, allowed=" or ".join(names))

    config = _dig(document, "input_config") or {}
    concurrency = (
        _dig(config, "loadgen", "concurrency")
        or _dig(config, "perf_analyzer", "stimulus", "concurrency")
        or _dig(config, "concurrency")
    )
    if not concurrency:
        raise _open_loop(where)
    names = _dig(config, "endpoint", "model_names") or _dig(config, "model_names") or [""]
    return BenchResult(
        tool="AIPerf" if _dig(config, "loadgen") or "records" in document else "genai-perf",
        model=str(names[0] if isinstance(names, list) and names else names),
        prompt_tokens=average("input_sequence_length"),
        output_tokens=average("output_sequence_length"),
        concurrency=_positive({"concurrency": concurrency}, "concurrency", where),
        ttft_ms=average("time_to_first_token"),
        tpot_ms=average("inter_token_latency"),
    )


def _open_loop(where: str) -> InputError:
    return InputError(
        "the run had no fixed concurrency, so it is not a closed loop",
        where=where,
        action="measure with a concurrency limit, for example --max-concurrency 32",
    )


def _positive(values: Any, name: str, where: str) -> float:
    value = values.get(name) if isinstance(values, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("missing number", where=f"{where}: {name}", found=value)
    if not math.isfinite(value) or value <= 0:
        raise InputError("expected a number above 0", where=f"{where}: {name}", found=value)
    return float(value)


def _dig(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
