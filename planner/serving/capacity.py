"""The highest request rate one replica holds within its targets, and what happens there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """The operating point at the highest stable rate [requests/s] at which every target holds.

    concurrency: requests in flight (Little's law); kv_used_share and utilisation in [0, 1];
    ``latency_s``: predicted seconds by key such as ``ttft_p50``, ``ttft_p99``, ``tpot_p50``,
    ``tpot_p99``, ``e2e_p99``; ``limited_by``: which target, pool or bound stops a higher rate
    ("ttft_p99", "tpot_p99", "kv pool", "throughput", "max_num_seqs"); ``method``: "closed-form" or
    "simulated". A replica that cannot meet a target at any rate has ``qps`` 0 and ``reason`` set.
    """

    qps: float
    concurrency: float
    kv_used_share: float
    utilisation: float
    latency_s: dict[str, float]
    limited_by: str
    method: str = "closed-form"
    reason: str | None = None
