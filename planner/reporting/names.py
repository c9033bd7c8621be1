"""What people read for a metric, a limit and a part of memory: each name once."""

from __future__ import annotations

METRICS = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2e": "E2E"}
LIMITS = {"throughput": "saturation", "kv pool": "KV pool", "max_num_seqs": "batch slots"}
MEMORY_PARTS = {
    "weights": "Weights",
    "kv_pool": "KV cache pool",
    "activations": "Activations (peak)",
    "cuda_graphs": "CUDA graphs",
    "context": "Context and collectives",
    "adapters": "RoPE tables, adapters",
    "outside_budget": "Outside the engine's budget",
}
WHOLE_GPU = "CUDA-visible memory"


def metric_title(key: str) -> str:
    """``ttft_p99`` as people write it: ``TTFT p99``."""
    metric, _, percentile = key.partition("_p")
    return f"{METRICS.get(metric, metric)} p{percentile}"


def limit_title(reason: str) -> str:
    """What stops a higher rate, in words."""
    if reason.partition("_p")[0] in METRICS:
        return metric_title(reason)
    return LIMITS.get(reason, reason)
