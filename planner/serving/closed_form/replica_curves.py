"""Step times of one replica by batch, as the closed form needs them: one call of the step model.

``prefix_hit_share``: share of each prompt's tokens that the prefix cache holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepModel
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.length_nodes import LengthNodes, length_nodes
from planner.serving.closed_form.step_grid import FULLER, step_grid
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

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
    seconds = grid_seconds(steps, limits, lengths, prefix_hit_share)
    return curves_from(seconds, steps.admission_s, limits, lengths, prefix_hit_share)


def grid_seconds(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, prefix_hit_share: float = 0.0
) -> Floats:
    """Step times of the replica's grid [s], which ``curves_from`` makes curves of."""
    grid, _, _ = step_grid(limits, lengths, prefix_hit_share)
    return np.asarray(steps.step_seconds(grid.batch), dtype=float)


def curves_from(
    seconds: Floats,
    admission_s: float,
    limits: ReplicaLimits,
    lengths: JointLengths,
    prefix_hit_share: float = 0.0,
) -> ReplicaCurves:
    """The curves of a replica whose grid takes ``seconds`` [s], see ``grid_seconds``.

    admission_s: between a request's arrival and the engine's queue [s].
    """
    nodes = length_nodes(lengths)
    grid, kv_bytes, bound = step_grid(limits, lengths, prefix_hit_share)
    limits = limits.sharing(lengths.shared_tokens)
    state, batch, count, together = grid.state, grid.in_step, grid.count, grid.together
    count_of_prompts = len(nodes.prompt)
    first = limits.scheduler is Scheduler.PREFILL_FIRST
    decode, fuller, chunk_s, last_s, one_s, pair_s, four_s, full_s = grid.tables(seconds)
    decode, fuller = decode[:, 0], fuller[:, 0]
    full_s = full_s[:, 0]
    base = np.where(batch > 0, decode, 0.0) if not first else np.zeros_like(decode)
    idle_step = decode[min(1, len(decode) - 1)]
    every_own = (count - 1) * chunk_s + last_s
    own, last_s, count = (a[:, :count_of_prompts] for a in (every_own, last_s, count))
    delta = np.maximum(own - count * base[:, None], 0.0)
    per_step, shared, work = full_step_parts(
        base, full_s, grid.full, grid.mean_prompt, nodes, limits
    )
    w = nodes.prompt_weight
    mean_delta = delta @ w
    # prompts of mixed lengths cost more than equal ones, the less so the more share a step
    bent = mean_delta / np.maximum(one_s[:, 0] - base, TINY) - 1 if grid.fits_whole else 0.0
    pair_s, four_s = (
        np.maximum(seconds[:, 0] - base, 0.0) / prompts[:, 0] * (1 + np.clip(bent, 0.0, 1.0) / k)
        for k, seconds, prompts in ((2, pair_s, together[1]), (4, four_s, together[2]))
    )
    spread = 1.0
    if len(w) > 1:
        coarse = float((nodes.prompt**2) @ w / (nodes.prompt @ w) ** 2) - 1
        finer = (
            (nodes.prompt_second_moment - 1) / coarse if coarse > 0 else 1.0
        )  # lost within nodes
        uneven = (delta**2) @ w / np.maximum(mean_delta, TINY) ** 2 - 1
        spread = 1 + max(_median(uneven), 0.0) * finer
    gap = last_s if not first else own
    decode = np.where(state > 0, decode, idle_step)
    return ReplicaCurves(
        scheduler=limits.scheduler,
        state=state,
        width=grid.width,
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
        slots=grid.slots,
        slot_bound=bound,
        steps_per_request=max(lengths.mean_output - 1, 0.0) / limits.tokens_per_step,
        overlap=nodes.overlap,
        tokens_per_step=limits.tokens_per_step,
        kv_bytes_per_request=kv_bytes,
        kv_pool_bytes=limits.kv_pool_bytes,
        nodes=nodes,
        admission_s=admission_s,
    )


def full_step_parts(
    base_s: Floats,
    full_s: Floats,
    tokens: Floats,
    mean_prompt: float,
    nodes: LengthNodes,
    limits: ReplicaLimits,
) -> tuple[Floats, Floats, Floats]:
    """Prompts that share a full step, what each adds to it, and each one's part of it [s], by state.

    base_s: the step without prompts, 0 where they go first; full_s: with ``tokens`` of prompts, all that fit;
    mean_prompt: tokens of one.
    """
    per_step = np.maximum(1.0, tokens / mean_prompt)
    if not limits.chunked:  # the prompt that does not fit any more leaves half of itself empty
        equal = nodes.prompt_second_moment < EQUAL
        per_step = np.floor(per_step) if equal else np.maximum(1.0, per_step - 0.5)
    shared = np.maximum(full_s - base_s, 0.0) / per_step
    first = limits.scheduler is Scheduler.PREFILL_FIRST
    work = np.where(first, shared, np.maximum(shared + base_s / per_step, TINY))
    return per_step, shared, work


def _median(values: Floats) -> float:
    """As numpy's, which takes ten times as long over a few dozen values."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    return float(
        ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    )


def _third(nodes: LengthNodes, spread: float) -> float:
    """E[delta^3] / E[delta]^3, the prompt's own brought down as its second moment is."""
    share = (spread - 1) / max(nodes.prompt_second_moment - 1, TINY)
    return float(1 + (nodes.prompt_third_moment - 1) * min(share, 1.0) ** 1.5)
