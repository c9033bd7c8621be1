"""Names and sentences that the terminal and the reports share."""

from __future__ import annotations

from planner.reporting import rounding

ALTERNATIVES_NOTE = "Alternatives are sized by the closed form; only the chosen plan was simulated."
_LIMITS = {"throughput": "saturation", "kv pool": "KV pool", "max_num_seqs": "batch slots"}
METRICS = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2e": "End to end"}
PART_NAMES = {
    "weights": "weights",
    "kv_pool": "KV cache pool",
    "activations": "activations (peak)",
    "cuda_graphs": "CUDA graphs",
    "context": "context and collectives",
    "adapters": "RoPE tables, adapters",
    "outside_budget": "outside the engine's budget",
}


def metric_title(key: str) -> str:
    """``ttft_p99`` as people write it: ``TTFT p99``."""
    metric, _, percentile = key.partition("_p")
    return f"{METRICS.get(metric, metric)} p{percentile}"


def limit_title(reason: str) -> str:
    """What stops a higher rate, in words."""
    if reason.partition("_p")[0] in METRICS:
        return metric_title(reason)
    return _LIMITS.get(reason, reason)


def goodput_text(goodput: float) -> str:
    """What is asked where the targets are judged together."""
    return (
        f"Asked is that {rounding.share(goodput)} of the requests meet all these targets at once; one "
        "percentile beyond its target is no miss."
    )
