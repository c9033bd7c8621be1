"""Replica groups of disaggregated prefill and decode."""

from __future__ import annotations

from launch_plans import group

from planner.plan.prefill_pool import PrefillPool


def units(engine="vllm", replicas=2, prefill=(3, 2), decode=(2, 4), **more):
    """``replicas`` units of (replicas, TP) of each pool."""
    values = {"tensor_parallel": decode[1], "engine": engine, "weights": "bf16", **more}
    made = group(replicas=replicas, **values)
    own = made.tensor_parallel * made.data_parallel
    each = prefill[0] * prefill[1] + decode[0] * own
    pool = PrefillPool(
        tensor_parallel=prefill[1],
        replicas=prefill[0],
        decode_replicas=decode[0],
        within="zone",
        link="network",
        link_gb_s=50.0,
        link_latency_s=0.005,
        link_evidence="modelled",
        transfer_s=0.02,
        memory=made.memory,
        kv_pool_tokens=200_000,
        evidence="calibrated",
    )
    return made.model_copy(update={"prefill": pool, "gpus": replicas * each})
