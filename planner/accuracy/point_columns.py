"""The columns of a table of measured points: what other tools call them, and what stays unread.

Engines, load generators and spreadsheets name one quantity in many ways (``tp_size``, ``isl``,
``median_ttft_ms``, ``enforce_eager``). Names that can mean one thing only are read as that; a column
whose name is not known is reported, since a setting that is silently ignored changes a prediction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from planner.accuracy.measures import column

SETTINGS = (
    "model",
    "gpu",
    "engine",
    "engine_version",
    "weights",
    "kv_cache",
    "tensor_parallel",
    "data_parallel",
    "expert_parallel",
    "pipeline_parallel",
    "gpus",
    "prompt_tokens",
    "output_tokens",
    "lengths_file",
    "length_spread",
    "load",
    "rate",
    "requests",
    "concurrency",
    "max_num_seqs",
    "max_num_batched_tokens",
    "memory_fraction",
    "max_model_len",
    "eager",
    "graphs_max_batch",
    "graph_padding",
    "speculative",
    "acceptance",
    "measured_on",
    "source",
    "weight",
)
"""Columns that say how a point was measured; those of the two pools are ``POOLS``."""

POOLS = tuple(
    f"{side}_{what}"
    for side in ("prefill", "decode")
    for what in ("workers", "tensor_parallel", "expert_parallel", "attention_dp", "gpus")
)
UNREAD = ("", "note", "notes", "comment", "comments", "line")
"""Columns that nobody expects a prediction to use; left out of what is reported as ignored."""

SYNONYMS = {
    "tensor_parallel": ("tp", "tp_size", "tensor_parallel_size"),
    "data_parallel": ("dp", "dp_size", "data_parallel_size"),
    "expert_parallel": ("ep", "ep_size", "expert_parallel_size"),
    "pipeline_parallel": ("pp", "pp_size", "pipeline_parallel_size"),
    "prompt_tokens": (
        "isl",
        "input_tokens",
        "input_len",
        "input_length",
        "prompt_len",
        "random_input_len",
        "mean_input_tokens",
    ),
    "output_tokens": (
        "osl",
        "output_len",
        "output_length",
        "random_output_len",
        "mean_output_tokens",
    ),
    "output_tokens_per_s": ("output_throughput", "output_token_throughput"),
    "concurrency": ("max_concurrency", "conc", "concurrent_requests", "users"),
    "rate": ("request_rate", "rps", "qps"),
    "requests": ("num_prompts", "num_requests", "request_count"),
    "gpu": ("gpu_type", "gpu_name", "hardware", "accelerator"),
    "engine": ("framework", "backend"),
    "engine_version": ("framework_version", "backend_version"),
    "model": ("model_name", "model_id"),
    "weights": ("weight_format", "precision", "quantization"),
    "kv_cache": ("kv_cache_dtype", "kv_cache_format"),
    "gpus": ("num_gpus", "gpu_count"),
    "eager": ("enforce_eager", "disable_cuda_graph"),
    "graphs_max_batch": ("cuda_graph_max_bs", "max_cudagraph_capture_size"),
    "memory_fraction": (
        "gpu_memory_utilization",
        "mem_fraction_static",
        "free_gpu_memory_fraction",
    ),
    "max_num_seqs": ("max_running_requests", "max_batch_size"),
    "max_num_batched_tokens": ("chunked_prefill_size", "max_num_tokens"),
    "max_model_len": ("context_length", "max_seq_len"),
}
_MEANING = {other: name for name, others in SYNONYMS.items() for other in others}
_TOOLS = re.compile(
    r"(?P<statistic>mean|avg|median|p\d{1,2}(?:\.\d+)?)_(?P<metric>ttft|tpot|itl|e2e)l?_(?P<unit>ms|s)"
)


def canonical(header: Iterable[str]) -> list[str]:
    """Return a header with each column under the name it is read by.

    A synonym counts only where its own column is missing and no earlier synonym replaces it. Case,
    spaces, hyphens and brackets do not matter: ``TTFT (ms)`` is ``ttft_ms``.
    """
    names = [re.sub(r"[^\w.]+", "_", name.strip().lower()).strip("_") for name in header]
    taken = set(names)
    result = []
    for name in names:
        meaning = _meaning(name)
        if meaning in taken:
            meaning = name
        taken.add(meaning)
        result.append(meaning)
    return result


def ignored(header: Iterable[str]) -> list[str]:
    """Return the columns of a canonical header that are not read, in their order."""
    known = {*SETTINGS, *POOLS, *UNREAD}
    return [name for name in header if name not in known and column(name) is None]


def _meaning(name: str) -> str:
    """The name that a column is read by: itself, what it represents, or a load generator's measure."""
    if name in _MEANING:
        return _MEANING[name]
    match = _TOOLS.fullmatch(name)
    if match is None:
        return name
    statistic = "mean" if match["statistic"] == "avg" else match["statistic"]
    own = f"{match['metric']}_{statistic}_{match['unit']}"
    return own.replace("_mean_", "_")
