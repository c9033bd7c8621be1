"""Files that hold no serving measurement the planner can simulate: named as what they are."""

from __future__ import annotations

from planner.accuracy.bench.json_values import Document, section
from planner.errors import InputError

KNOWN = (
    "vllm bench serve, SGLang bench_serving, GuideLLM, genai-perf, AIPerf, inference-perf, "
    "llm-optimizer, InferenceX or llm-d-benchmark"
)
_TABLE = (
    "write a table: model, gpu, engine, weights, tensor_parallel, prompt_tokens, output_tokens, "
    "load, requests, makespan_s (planner accuracy --help lists the columns)"
)
_SAME_FOLDER = "give the JSON file in the same folder"
_OBJECTS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("model", "rate", "prompt_tokens"),
        "a scenario: what is asked, not what was measured",
        "give the results of a load generator; planner solve reads scenarios",
    ),
    (
        ("conversations",),
        "conversations (ShareGPT): texts, neither measurements nor token counts",
        "give a load generator's result on them; it prints lengths and latencies",
    ),
    (
        ("avg_latency", "latencies"),
        "a result of vllm bench latency: it records neither batch nor lengths",
        _TABLE,
    ),
    (
        ("elapsed_time", "total_num_tokens"),
        "a result of vllm bench throughput: it records tokens in all, not of prompts and responses",
        _TABLE,
    ),
    (
        ("last_latency",),
        "a result of SGLang's bench_offline_throughput or bench_one_batch: steps, not requests",
        _TABLE,
    ),
    (
        ("experiments",),
        "perf_analyzer's raw export (profile_export.json): responses, not statistics",
        "give profile_export_genai_perf.json, in the same folder",
    ),
    (
        ("avg_ts", "n_prompt"),
        "a result of llama-bench: batches of llama.cpp, which the planner does not model",
        "measure with a load generator against its server, and state the engine",
    ),
    (
        ("input_length", "output_length"),
        "a request trace: what was sent, not how long it took",
        "read it with planner trace describe, or name it as lengths_file in a table of points",
    ),
    (
        ("results_ttft_s_mean",),
        "LLMPerf's summary: its lengths and latencies, of requests that it does not describe",
        _TABLE,
    ),
    (
        ("root_group", "metrics"),
        "a summary of k6: whole responses, no first tokens",
        _TABLE,
    ),
    (
        ("results", "versions"),
        "a quality evaluation (lm-eval): scores, not latencies",
        "give a load generator's result",
    ),
)
_TEXTS = (
    ("p99 latency,", "MLPerf's summary", _SAME_FOLDER),
    ("Metric,avg,min,max,", "AIPerf's or genai-perf's CSV export", _SAME_FOLDER),
    ("Metric,Value", "AIPerf's or genai-perf's CSV export", _SAME_FOLDER),
    ("Benchmark,", "GuideLLM's CSV export", _SAME_FOLDER),
    ("Type,Name,Request Count", "Locust's statistics: whole responses, no first tokens", _TABLE),
    ("Running ", "wrk's output: whole responses, no first tokens", _TABLE),
    ("Summary:", "hey's output: whole responses, no first tokens", _TABLE),
)


def named(document: Document, where: str) -> InputError:
    """The complaint about an object that holds no run the planner reads."""
    for keys, what, action in _OBJECTS:
        if all(key in document for key in keys):
            return InputError(f"this is {what}", where=where, action=action, allowed=KNOWN)
    if section(document, "input_config"):
        return InputError(
            "the run recorded no time to first token",
            where=where,
            action="measure with streaming (--streaming): an answer in one piece has none",
        )
    return InputError(
        "not a result file the planner knows",
        where=where,
        found=", ".join(list(document)[:8]) or "an empty object",
        allowed=KNOWN,
    )


def named_text(text: str, where: str) -> InputError | None:
    """The complaint about a text that looks like another export of a known tool; None otherwise."""
    for start, what, action in _TEXTS:
        if text.lstrip().startswith(start):
            return InputError(f"this is {what}", where=where, action=action, allowed=KNOWN)
    return None
