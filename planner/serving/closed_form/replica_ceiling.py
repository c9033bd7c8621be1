"""The ceiling of a replica alone: two steps of every state, where its curves take forty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch, StepModel
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.length_nodes import length_nodes
from planner.serving.closed_form.replica_curves import full_step_parts
from planner.serving.closed_form.step_grid import full_steps_of, pieces_of, slots_of
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]


def ceiling_alone_qps(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    prefix_hit_share: float = 0.0,
    slower: float = 1.0,
) -> float:
    """The rate at which some resource of a replica is used up [requests/s], as its curves have it.

    ``prefix_hit_share``: share of each prompt's tokens that the prefix cache holds; ``slower``: how much
    longer every step takes than ``steps`` say.
    """
    slots, _, _ = slots_of(limits, lengths)
    first = limits.scheduler is Scheduler.PREFILL_FIRST
    full = full_steps_of(
        lengths,
        prefix_hit_share,
        slots,
        limits.max_num_batched_tokens,
        limits.draft_tokens,
        first=first,
    )
    context, mean_prompt, tokens = lengths.mean_context_in_flight, full.mean_prompt, full.tokens
    pieces = pieces_of(mean_prompt, limits.chunk_tokens, limits.chunked)
    prompts = np.maximum(tokens / mean_prompt, 1.0) * pieces if limits.ranks > 1 else 1.0
    pairs = tokens * (full.behind + mean_prompt / 2)
    states = len(full.state)
    n = np.concatenate([full.state, full.in_step])
    prompt_tokens, attended, some = np.zeros((3, 2 * states))
    prompt_tokens[states:], attended[states:], some[states:] = tokens, pairs, prompts
    batch = StepBatch(n, n * context, prompt_tokens, some, attended, n + some)
    seconds = slower * np.asarray(steps.step_seconds(batch), dtype=float)
    decode, full_s = seconds[:states], seconds[states:]
    base = np.zeros_like(decode) if first else np.where(full.in_step > 0, decode, 0.0)
    decode = np.where(full.state > 0, decode, decode[min(1, len(decode) - 1)])
    _, shared, work = full_step_parts(
        base, full_s, tokens, mean_prompt, length_nodes(lengths), limits
    )
    per_request = max(lengths.mean_output - 1, 0.0) / limits.tokens_per_step
    sustained, prefill = reach_of(full.state, per_request, decode, shared, work)
    return float(np.minimum(sustained, prefill).max())


def reach_of(
    state: Floats, steps_per_request: float, decode_s: Floats, shared_s: Floats, queue_s: Floats
) -> tuple[Floats, Floats]:
    """Rates that decode and that prefill keep up with, by state [requests/s].

    Batch n sustains lambda with lambda * steps * D / (1 - lambda delta) = n. decode_s: D; shared_s: delta, of
    prompts that fill a step; queue_s: a prompt's part of such a step; steps_per_request: decode steps.
    """
    n, steps = np.maximum(state, 1.0), max(steps_per_request, TINY)
    return n / (steps * decode_s + n * shared_s), 1 / np.maximum(queue_s, TINY)
