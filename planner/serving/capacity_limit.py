"""What stops a replica from taking more requests: a resource, or a latency target by its key."""

from __future__ import annotations

from enum import StrEnum

from planner.scenario.slo import TargetKey


class CapacityLimit(StrEnum):
    """A limit that is no latency target; the values are how plans spell it."""

    THROUGHPUT = "throughput"
    KV_POOL = "kv pool"
    BATCH_SLOTS = "max_num_seqs"
    PREFILL_THROUGHPUT = "prefill throughput"
    PREFILL_KV_POOL = "prefill kv pool"
    KV_LINK = "kv link"
    DECODE_THROUGHPUT = "decode throughput"
    GOODPUT = "goodput"
    STABLE = "stable"  # the queue grows without end
    NOT_SOUGHT = ""  # a rate was given, and no higher one was sought


LimitedBy = CapacityLimit | TargetKey
