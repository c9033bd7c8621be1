"""Result files of load generators, read as measured points.

A file says what was requested and what came back, hardly ever the whole deployment: GPU, engine, weights
and parallelism come from the person (``Setting``) where the file is silent. Formats:

- flat keys (``flat``): ``vllm bench serve --save-result``, SGLang's ``bench_serving`` (JSON
  lines), InferenceX, llm-optimizer, and the table these tools print, pasted into a file;
- nested reports (``reports``): GuideLLM, genai-perf, AIPerf (summary, and one record a
  request), inference-perf, llm-d-benchmark (YAML).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from planner.accuracy.bench.flat import console_results, flat_result, is_flat, optimizer_results
from planner.accuracy.bench.json_values import Document, dig, section
from planner.accuracy.bench.reports import (
    guidellm_results,
    inference_perf_result,
    is_record,
    llm_d_result,
    perf_result,
    record_result,
)
from planner.accuracy.bench.result import BenchResult, Setting
from planner.accuracy.bench.unread import named, named_text
from planner.catalog.tables import read_text
from planner.errors import InputError

__all__ = ["BenchResult", "Setting", "is_result_file", "read_bench_file"]

MAX_RESULT_BYTES = 200_000_000
RESULT_SUFFIXES = (".json", ".jsonl", ".yaml", ".yml", ".txt", ".log")


def is_result_file(path: Path) -> bool:
    """Whether a file is a load generator's result by its name or its first bytes, not a table."""
    if path.suffix.lower() in RESULT_SUFFIXES:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(200).lstrip(b"\xef\xbb\xbf \n\r\t")
    return start.startswith((b"{", b"[", b"===="))


def read_bench_file(path: Path) -> list[BenchResult]:
    """Return the runs of a result file.

    Raises InputError when it is none of the known formats, naming what it looks like.
    """
    text = read_text(path, MAX_RESULT_BYTES, InputError).removeprefix("\ufeff")
    documents = list(_documents(path, text))
    if documents and all(is_record(document) for document in documents):
        return [record_result(documents, str(path))]
    results = []
    for number, document in enumerate(documents, start=1):
        where = f"{path}:{number}" if number > 1 else str(path)
        results += list(_results(document, where))
    if not results:
        raise InputError("no finished run in this file", where=str(path))
    return results


def _documents(path: Path, text: str) -> Iterator[Document]:
    """The objects of a file: JSON, JSON lines, YAML, or printed tables."""
    if "Serving Benchmark Result" in text and not text.lstrip().startswith(("{", "[")):
        yield from console_results(text.splitlines())
        return
    for document in _parsed(path, text):
        for entry in document if isinstance(document, list) else [document]:
            if not isinstance(entry, Mapping):
                raise InputError("a result is a JSON object", where=str(path), found=entry)
            yield entry


def _parsed(path: Path, text: str) -> list[object]:
    try:
        return [json.loads(text)]
    except json.JSONDecodeError as problem:
        whole = problem
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        pass
    if path.suffix.lower() in (".yaml", ".yml"):
        try:
            return [yaml.safe_load(text)]
        except yaml.YAMLError as problem:
            raise InputError("not YAML", where=str(path), found=str(problem)) from None
    raise named_text(text, str(path)) or InputError(
        "neither JSON nor JSON lines nor a printed result table",
        where=f"{path}:{whole.lineno}",
        found=whole.msg,
        action="give the result file of vllm, SGLang, GuideLLM, genai-perf, AIPerf or inference-perf",
    )


def _results(document: Document, where: str) -> Iterator[BenchResult]:
    if is_flat(document):
        yield flat_result(document, where)
    elif isinstance(dig(document, "benchmarks"), list):
        yield from guidellm_results(document, where)
    elif section(document, "scenario") and (
        section(document, "metrics", "latency") or section(document, "results")
    ):
        yield llm_d_result(document, where)
    elif section(document, "successes"):
        yield inference_perf_result(document, where)
    elif runs := list(optimizer_results(document)):
        yield from (flat_result(run, where) for run in runs)
    elif (
        "time_to_first_token" in document
        or "request_latency" in document
        or section(document, "records")
    ):
        yield perf_result(document, where)
    else:
        raise named(document, where)
