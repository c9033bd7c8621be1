"""Step times of one replica by batch, as the closed form needs them: one call of the step model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch, StepModel
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.length_nodes import LengthNodes, length_nodes
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

EXACT_STATES = 18  # batches 0, 1, ..., then in steps of 11 %
STATE_GROWTH = 1.11
FULLER = 1.25  # times the mean context, to see what it costs
EQUAL = 1.02  # E[p^2] / E[p]^2 of prompts that fill a step in whole numbers


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaCurves:
    """Step times of one replica by batch, for one length distribution.

    state: requests in the system, the last one is ``slots``; decode_s: D, of which context_s for reading
    KV; prefill_s: delta for the mean prompt, by state, prefill_pair_s, _four_s, _shared_s: per prompt when
    two, four, or as many as fit share a step; prefill_spread, prefill_third: E[delta^k] / E[delta]^k;
    prompts_per_step: that a step has room for; own_s: the own prefill's steps, by (state, prompt node),
    own_at_output_s: by (state, output node); queue_s: a prompt's part of a full step; longest_step_s: what
    a decode step cannot exceed; gap_s: how long a decode step gets when a prompt of each node is in it, by
    (state, node); slots, slot_bound: the largest batch and what bounds it; steps_per_request: E[o - 1] in
    steps; overlap: E[min(o, o')] / E[o] of two answers, 1 when all are equally long.
    """

    scheduler: Scheduler
    state: Floats
    width: Floats
    decode_s: Floats
    context_s: Floats
    prefill_s: Floats
    prefill_pair_s: Floats
    prefill_four_s: Floats
    prefill_shared_s: Floats
    prefill_spread: float
    prefill_third: float
    prompts_per_step: Floats
    own_s: Floats
    own_at_output_s: Floats
    queue_s: Floats
    longest_step_s: Floats
    gap_s: Floats
    slots: float
    slot_bound: CapacityLimit
    steps_per_request: float
    overlap: float
    tokens_per_step: float
    kv_bytes_per_request: float
    kv_pool_bytes: float
    nodes: LengthNodes
    admission_s: float


def replica_curves(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, prefix_hit_share: float = 0.0
) -> ReplicaCurves:
    """Price every state with one call of the step model."""
    nodes = length_nodes(lengths)
    limits = limits.sharing(lengths.shared_tokens)
    kv_bytes = mean_kv_bytes(limits, lengths)
    slots, bound = _slots(limits, lengths, kv_bytes)
    state, width = _states(slots)
    context = lengths.mean_context_in_flight
    whole = np.concatenate([nodes.prompt, nodes.prompt_at_output])
    prompt = np.maximum(1.0, whole * (1 - prefix_hit_share))
    done = whole - prompt + np.concatenate([nodes.found, nodes.found_at_output])
    count_of_prompts = len(nodes.prompt)
    first = limits.scheduler is Scheduler.PREFILL_FIRST
    batch = np.zeros_like(state) if first else state
    budget = limits.max_num_batched_tokens - batch * (1 + limits.draft_tokens)
    budget = np.maximum(budget, 1.0)[:, None]
    whole_step = np.minimum(budget, limits.chunk_tokens)
    chunk = np.minimum(prompt, whole_step) if limits.chunked else prompt + 0 * budget
    count = np.ceil(prompt / chunk)
    last = prompt - (count - 1) * chunk
    n = np.broadcast_to(batch[:, None], chunk.shape)
    mean_prompt = float(nodes.prompt_weight @ prompt[:count_of_prompts])
    full = np.maximum(budget, mean_prompt)
    one, pair, four = (np.minimum(k * mean_prompt, full) for k in (1, 2, 4))
    ranks = limits.ranks  # one prompt keeps one rank busy, and the others wait
    behind = float(done.mean())
    if lengths.cached is not None:  # the prompt tokens in a step, by what is before them
        new, weight = nodes.prompt, nodes.prompt_weight
        behind = float((new * nodes.found) @ weight / (new @ weight))
    states, nothing = state[:, None], 0.0 * state[:, None]
    chunk_pairs = ranks * chunk * (done + count * chunk / 2 + 0.5)
    last_pairs = ranks * last * (done + (count - 1) * chunk + (last + 1) / 2)
    pieces = max(1.0, mean_prompt / limits.chunk_tokens) if limits.chunked else 1.0
    busy = [np.minimum(np.maximum(t, ranks * mean_prompt), full) for t in (one, pair, four)]
    together = [np.maximum(t / mean_prompt, 1.0) for t in (one, pair, four, full)]
    parts = [
        (states, context, nothing, nothing, 0.0),
        (states, FULLER * context, nothing, nothing, 0.0),
        (n, context, ranks * chunk, chunk_pairs, 1.0),
        (n, context, ranks * last, last_pairs, 1.0),
        *(
            (
                batch[:, None],
                context,
                t,
                t * (behind + mean_prompt / 2),
                p * pieces if ranks > 1 else 1.0,
            )
            for t, p in zip((*busy, full), together, strict=True)
        ),
    ]
    priced = _price(steps, parts)
    decode, fuller, chunk_s, last_s, one_s, pair_s, four_s, full_s = priced
    decode, fuller = decode[:, 0], fuller[:, 0]
    full_s = full_s[:, 0]
    base = np.where(batch > 0, decode, 0.0) if not first else np.zeros_like(decode)
    idle_step = decode[min(1, len(decode) - 1)]
    every_own = (count - 1) * chunk_s + last_s
    own, last_s, count = (a[:, :count_of_prompts] for a in (every_own, last_s, count))
    delta = np.maximum(own - count * base[:, None], 0.0)
    per_step = np.maximum(1.0, full[:, 0] / mean_prompt)
    if not limits.chunked:  # the prompt that does not fit any more leaves half of itself empty
        equal = nodes.prompt_second_moment < EQUAL
        per_step = np.floor(per_step) if equal else np.maximum(1.0, per_step - 0.5)
    fits_whole = bool((count == 1).all())
    w = nodes.prompt_weight
    mean_delta = delta @ w
    shared = np.maximum(full_s - base, 0.0) / per_step
    # prompts of mixed lengths cost more than equal ones, the less so the more share a step
    bent = mean_delta / np.maximum(one_s[:, 0] - base, TINY) - 1 if fits_whole else 0.0
    pair_s, four_s = (
        np.maximum(seconds[:, 0] - base, 0.0) / prompts[:, 0] * (1 + np.clip(bent, 0.0, 1.0) / k)
        for k, seconds, prompts in ((2, pair_s, together[1]), (4, four_s, together[2]))
    )
    work = np.where(first, shared, np.maximum(shared + base / per_step, TINY))
    coarse = float((nodes.prompt**2) @ w / (nodes.prompt @ w) ** 2) - 1
    finer = (nodes.prompt_second_moment - 1) / coarse if coarse > 0 else 1.0  # lost within nodes
    uneven = (delta**2) @ w / np.maximum(mean_delta, TINY) ** 2 - 1
    spread = 1 + max(float(np.median(uneven)), 0.0) * finer
    gap = last_s if not first else own
    decode = np.where(state > 0, decode, idle_step)
    return ReplicaCurves(
        scheduler=limits.scheduler,
        state=state,
        width=width,
        decode_s=decode,
        context_s=(fuller - decode) / (FULLER - 1),
        prefill_s=mean_delta,
        prefill_pair_s=pair_s,
        prefill_four_s=four_s,
        prefill_shared_s=shared,
        prefill_spread=spread,
        prefill_third=_third(nodes, spread),
        prompts_per_step=per_step,
        own_s=own,
        own_at_output_s=every_own[:, count_of_prompts:],
        queue_s=work,
        longest_step_s=np.full_like(full_s, np.inf)
        if first
        else np.maximum(full_s, gap.max(axis=1)),
        gap_s=gap + (decode[:, None] if first else 0.0),
        slots=slots,
        slot_bound=bound,
        steps_per_request=max(lengths.mean_output - 1, 0.0) / limits.tokens_per_step,
        overlap=nodes.overlap,
        tokens_per_step=limits.tokens_per_step,
        kv_bytes_per_request=kv_bytes,
        kv_pool_bytes=limits.kv_pool_bytes,
        nodes=nodes,
        admission_s=steps.admission_s,
    )


def _third(nodes: LengthNodes, spread: float) -> float:
    """E[delta^3] / E[delta]^3, the prompt's own brought down as its second moment is."""
    share = (spread - 1) / max(nodes.prompt_second_moment - 1, TINY)
    return float(1 + (nodes.prompt_third_moment - 1) * min(share, 1.0) ** 1.5)


_Part = tuple[Floats | float, ...]


def _price(steps: StepModel, parts: Sequence[_Part]) -> list[Floats]:
    """Step times of several tables of (batch, context, prompt tokens, attended pairs, prompts)."""
    tables = [tuple(np.broadcast_arrays(*part)) for part in parts]
    n, context, tokens, pairs, some = (
        np.concatenate([t[i].ravel() for t in tables]) for i in range(5)
    )
    batch = StepBatch(n, n * context, tokens, some, pairs, n + some)
    seconds = np.asarray(steps.step_seconds(batch), dtype=float)
    cuts = np.cumsum([t[0].size for t in tables])[:-1]
    return [s.reshape(t[0].shape) for s, t in zip(np.split(seconds, cuts), tables, strict=True)]


def mean_kv_bytes(limits: ReplicaLimits, lengths: JointLengths) -> float:
    """KV bytes of a request averaged over its time in the batch and over requests in flight [B].

    What is in every prompt is held once and no part of them (``ReplicaLimits.sharing``). Long answers
    stay longer and weigh more; where admission reserves the worst case, that counts.
    """
    p, o = lengths.prompt - float(lengths.shared_tokens), lengths.output.astype(float)
    stay = np.maximum(o - 1, 1e-3)
    block = limits.kv_block_tokens
    if limits.scheduler is Scheduler.NO_EVICT:
        tokens = np.ceil((p + o - 1) / block) * block
    else:
        tokens = p + np.maximum(o - 2, 0) / 2 + (block - 1) / 2
    held = tokens / block * limits.kv_block_bytes + limits.state_bytes
    for window, per_token in limits.windows:
        held = held + per_token * np.minimum(p + o - 1, window)
    return float((held * stay).sum() / stay.sum())


def _slots(
    limits: ReplicaLimits, lengths: JointLengths, kv_bytes: float
) -> tuple[float, CapacityLimit]:
    """The largest batch, and what bounds it.

    Where admission asks for a request's whole cache, half of that is free on average while one waits.
    """
    room = limits.kv_pool_bytes / kv_bytes if kv_bytes > 0 else np.inf
    if limits.scheduler is not Scheduler.CHUNKED_PREFILL and kv_bytes > 0:
        total = float((lengths.prompt + lengths.output).mean()) - 1 - lengths.shared_tokens
        room -= limits.sequence_bytes(round(total)) / kv_bytes / 2
    room = max(room, 1.0)
    if room < limits.max_num_seqs:
        return float(room), CapacityLimit.KV_POOL
    return float(limits.max_num_seqs), CapacityLimit.BATCH_SLOTS


def _states(slots: float) -> tuple[Floats, Floats]:
    """Batches from 0 to ``slots``, coarser as they grow, and how many integers each represents."""
    exact = np.arange(0.0, min(EXACT_STATES, slots) + 1e-9)
    more = []
    n = exact[-1]
    while n < slots:
        n = min(max(n + 1, n * STATE_GROWTH), slots)
        more.append(n)
    state = np.concatenate([exact, more])
    edges = np.concatenate([[-0.5], (state[1:] + state[:-1]) / 2, [state[-1] + 0.5]])
    return state, np.diff(edges)
