"""Loads whose prompts repeat others: what a replica's prefix cache holds at one rate, and its capacity.

The more a replica is sent, the less room and time its cache has for each history, so the hits depend
on the rate that they help to carry. The capacity is where the two agree: the highest rate at which the
targets hold with the hits of that very rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from planner.performance.steps import StepModel
from planner.serving.closed_form.step_grid import mean_kv_bytes
from planner.serving.limits import ReplicaLimits
from planner.serving.offload import Offload, recompute_s_per_token
from planner.workload.lengths import JointLengths

if TYPE_CHECKING:
    from planner.workload.prefix_reuse import Ints, PrefixReuse

AGREES = 0.02  # of the rate
MOST_ROUNDS = 6
SURGE = 1.15  # of the rate, in the hits that a capacity counts on


def at_load(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    rate_qps: float,
    in_flight: float,
) -> JointLengths:
    """The prompts with what the cache of one replica holds of each, at ``rate_qps`` [requests/s].

    ``in_flight``: requests that run there, whose KV leaves the rest of the pool to the cache. An engine
    without prefix caching, or a model without growing KV, holds nothing.
    """
    reuse = lengths.reuse
    if reuse is None:
        return lengths
    if not limits.prefix_caching or limits.pool_tokens <= 0:
        return lengths.with_cached(np.zeros_like(lengths.prompt), 0)
    shared = reuse.shared_tokens // limits.kv_block_tokens * limits.kv_block_tokens
    whole = limits.sharing(shared)
    each = mean_kv_bytes(limits, lengths.with_cached(np.zeros_like(lengths.prompt), shared))
    free = max(1 - in_flight * each / whole.kv_pool_bytes, 0.0)
    room = free * whole.pool_tokens + shared
    cached = reuse.cached(room, rate_qps, limits.kv_block_tokens)
    if limits.offload is not None:
        cached = _with_offload(steps, limits, limits.offload, reuse, cached, room, rate_qps)
    return lengths.with_cached(cached, shared)


def unbounded(limits: ReplicaLimits, lengths: JointLengths) -> JointLengths:
    """The prompts with all that a cache which forgets nothing, and is always found, holds of them."""
    reuse = lengths.reuse
    if reuse is None:
        return lengths
    if not limits.prefix_caching or limits.pool_tokens <= 0:
        return lengths.with_cached(np.zeros_like(lengths.prompt), 0)
    block = limits.kv_block_tokens
    cached = np.minimum(reuse.repeated // block * block, lengths.prompt - 1)
    return lengths.with_cached(cached, reuse.shared_tokens // block * block)


def _with_offload(
    steps: StepModel,
    limits: ReplicaLimits,
    offload: Offload,
    reuse: PrefixReuse,
    cached: Ints,
    room: float,
    rate_qps: float,
) -> Ints:
    """What the pool, the host and the disk hold, less what bringing it back costs in tokens computed.

    A host that holds copies adds only what it holds beyond the pool.
    """
    again_s = recompute_s_per_token(steps, limits.chunk_tokens)
    found = cached.astype(float)
    deeper = cached
    for tokens, each_s in (
        (offload.host_tokens, offload.host_s_per_token),
        (offload.disk_tokens, offload.disk_s_per_token),
    ):
        if tokens <= 0:
            continue
        room = max(room, tokens) if offload.writes_through else room + tokens
        held = np.maximum(reuse.cached(room, rate_qps, limits.kv_block_tokens), deeper)
        found += (held - deeper) * max(1 - each_s / again_s, 0.0)
        deeper = held
    return np.minimum(np.round(found), deeper).astype(np.int64)


def hit_share(lengths: JointLengths) -> float:
    """Share of the prompt tokens that the cache holds."""
    if lengths.cached is None:
        return 0.0
    return float(lengths.cached.sum() / lengths.prompt.sum())


Held = Callable[[JointLengths], tuple[float, float]]


def agreed_load(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, held: Held
) -> tuple[JointLengths, float]:
    """The load at the highest rate that a replica carries with the hits of that rate, and the rate.

    ``held``: the rate [requests/s] and the requests in flight that it carries of a load. The rate it
    carries falls with the rate its cache is given, so the two meet once; bisection finds where. The hits
    are those of a surge above the rate: histories lost in one are computed again, which lengthens it and
    loses more, and a replica without that margin does not come back from it.
    """
    full = unbounded(limits, lengths)
    high, flight = held(full)
    if high <= 0:
        return full, 0.0
    load = at_load(steps, limits, lengths, SURGE * high, SURGE * flight)
    low, flight = held(load)
    if low >= high * (1 - AGREES):
        return load, min(low, high)
    best = load, low
    for _ in range(MOST_ROUNDS):
        middle = (low + high) / 2
        surge = SURGE * _scaled(flight, best[1], middle)
        tried = at_load(steps, limits, lengths, SURGE * middle, surge)
        carried, running = held(tried)
        if carried >= middle:
            low, best, flight = middle, (tried, middle), running
        else:
            high = middle
        if high - low <= AGREES * high:
            break
    return best


def _scaled(in_flight: float, from_qps: float, to_qps: float) -> float:
    return in_flight * to_qps / from_qps if from_qps > 0 else in_flight


def settled(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    rate_qps: float,
    in_flight_at: Callable[[JointLengths], float],
) -> JointLengths:
    """The load of a replica that gets ``rate_qps``; ``in_flight_at``: requests in flight of a load."""
    if lengths.reuse is None:
        return lengths
    load = at_load(steps, limits, lengths, rate_qps, 0.0)
    for _ in range(2):
        load = at_load(steps, limits, lengths, rate_qps, in_flight_at(load))
    return load
