"""The steps one replica is priced at: batches with and without prompts, for one length distribution.

``prefix_hit_share``: share of each prompt's tokens that the prefix cache holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.length_nodes import length_nodes
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

EXACT_STATES = 18  # batches 0, 1, ..., then in steps of 11 %
STATE_GROWTH = 1.11
FULLER = 1.25  # times the mean context, to see what it costs
MOST_GRIDS = 384  # kept, some 10 to 100 kB each: a margin reads the same ones again


@dataclass(frozen=True, slots=True, eq=False)
class StepGrid:
    """The steps a replica is priced at, by state and prompt: they do not depend on how fast it is.

    batch: all of them, one entry a step, as one call of the step model takes them; shapes: of the tables that
    they are, one after another: decode, decode with fuller contexts, a whole chunk of each prompt node and
    its last one, then one, two, four and as many prompts as fit. Steps that are equal are priced once: no
    table of whole chunks where ``one_chunk`` holds every prompt, and where prompts are the same at every
    output (``any_output``) one half of their columns. slots: the largest batch; in_step: requests that decode
    beside prompts; count: chunks of each prompt; together: prompts of the last four tables.
    """

    batch: StepBatch
    shapes: tuple[tuple[int, ...], ...]
    slots: float
    state: Floats
    width: Floats
    in_step: Floats
    count: Floats
    full: Floats
    together: tuple[Floats, ...]
    mean_prompt: float
    fits_whole: bool
    one_chunk: bool
    any_output: bool

    def tables(self, seconds: Floats) -> list[Floats]:
        """Seconds of ``batch`` as the eight tables they belong to."""
        tables, start = [], 0
        for shape in self.shapes:
            end = start + math.prod(shape)
            tables.append(seconds[start:end].reshape(shape))
            start = end
        decode, fuller, *chunks, one, pair, four, full = tables
        if self.any_output:
            chunks = [np.concatenate([each, each], axis=1) for each in chunks]
        return [decode, fuller, chunks[0], chunks[-1], one, pair, four, full]


def step_grid(
    limits: ReplicaLimits, lengths: JointLengths, prefix_hit_share: float
) -> tuple[StepGrid, float, CapacityLimit]:
    """The grid of a replica, KV bytes of a request in flight [B], and what bounds the largest batch."""
    slots, kv_bytes, bound = slots_of(limits, lengths)
    grid = _grid(
        lengths,
        prefix_hit_share,
        slots,
        limits.max_num_batched_tokens,
        limits.chunk_tokens,
        limits.draft_tokens,
        limits.ranks,
        limits.chunked,
        limits.scheduler is Scheduler.PREFILL_FIRST,
    )
    return grid, kv_bytes, bound


@lru_cache(maxsize=MOST_GRIDS)
def slots_of(limits: ReplicaLimits, lengths: JointLengths) -> tuple[float, float, CapacityLimit]:
    """The largest batch, KV bytes of a request in flight [B], and what bounds the batch."""
    shared = limits.sharing(lengths.shared_tokens)
    kv_bytes = mean_kv_bytes(shared, lengths)
    slots, bound = _slots(shared, lengths, kv_bytes)
    return slots, kv_bytes, bound


@lru_cache(maxsize=MOST_GRIDS)
def _grid(
    lengths: JointLengths,
    prefix_hit_share: float,
    slots: float,
    step_tokens: int,
    chunk_tokens: int,
    draft_tokens: int,
    ranks: int,
    chunked: bool,
    first: bool,
) -> StepGrid:
    """``first``: prompts go before decode; ``ranks``: one prompt keeps one busy, and the others wait."""
    nodes = length_nodes(lengths)
    full_steps = full_steps_of(
        lengths, prefix_hit_share, slots, step_tokens, draft_tokens, first=first
    )
    state, batch, full = full_steps.state, full_steps.in_step, full_steps.tokens[:, None]
    prompt, done, budget = full_steps.prompt, full_steps.done, full_steps.budget[:, None]
    mean_prompt, behind = full_steps.mean_prompt, full_steps.behind
    context = lengths.mean_context_in_flight
    whole_step = np.minimum(budget, chunk_tokens)
    chunk = np.minimum(prompt, whole_step) if chunked else prompt + 0 * budget
    count = np.ceil(prompt / chunk)
    last = prompt - (count - 1) * chunk
    n, half = batch[:, None], len(nodes.prompt)
    any_output = _same_halves(prompt, half) and _same_halves(done, half)
    prompts = half if any_output else len(prompt)
    one, pair, four = (np.minimum(k * mean_prompt, full) for k in (1, 2, 4))
    states = state[:, None]
    chunk_pairs = ranks * chunk * (done + count * chunk / 2 + 0.5)
    last_pairs = ranks * last * (done + (count - 1) * chunk + (last + 1) / 2)
    pieces = pieces_of(mean_prompt, chunk_tokens, chunked)
    busy = [np.minimum(np.maximum(t, ranks * mean_prompt), full) for t in (one, pair, four)]
    together = tuple(np.maximum(t / mean_prompt, 1.0) for t in (one, pair, four, full))
    one_chunk = np.array_equal(chunk, last) and np.array_equal(chunk_pairs, last_pairs)
    chunks = [(last, last_pairs)] if one_chunk else [(chunk, chunk_pairs), (last, last_pairs)]
    parts = [
        (1, (states, context, 0.0, 0.0, 0.0)),
        (1, (states, FULLER * context, 0.0, 0.0, 0.0)),
        *(
            (prompts, (n, context, ranks * tokens[:, :prompts], pairs[:, :prompts], 1.0))
            for tokens, pairs in chunks
        ),
        *(
            (1, (n, context, t, t * (behind + mean_prompt / 2), p * pieces if ranks > 1 else 1.0))
            for t, p in zip((*busy, full), together, strict=True)
        ),
    ]
    steps, shapes = one_batch(len(state), parts)
    own_count = count[:, : len(nodes.prompt)]
    return StepGrid(
        batch=steps,
        shapes=shapes,
        slots=slots,
        state=state,
        width=_widths(state),
        in_step=batch,
        count=count,
        full=full_steps.tokens,
        together=together,
        mean_prompt=mean_prompt,
        fits_whole=bool((own_count == 1).all()),
        one_chunk=one_chunk,
        any_output=any_output,
    )


def _same_halves(values: Floats, half: int) -> bool:
    """Whether what is known of prompts is the same of those by output."""
    return np.array_equal(values[:half], values[half:])


@dataclass(frozen=True, slots=True, eq=False)
class FullSteps:
    """Steps that are filled with prompts up to their budget of tokens, by state.

    state: requests in the system; in_step: of them, those that decode beside the prompts; budget: tokens
    that are left for prompts, tokens: those of a full step, one mean prompt at least; prompt, done: computed
    and cached tokens of each length node; behind: cached before the mean prompt.
    """

    state: Floats
    in_step: Floats
    budget: Floats
    tokens: Floats
    prompt: Floats
    done: Floats
    mean_prompt: float
    behind: float


@lru_cache(maxsize=MOST_GRIDS)
def full_steps_of(
    lengths: JointLengths,
    prefix_hit_share: float,
    slots: float,
    step_tokens: int,
    draft_tokens: int,
    *,
    first: bool,
) -> FullSteps:
    """Full steps up to ``slots`` requests; ``first``: prompts go before decode."""
    nodes, state = length_nodes(lengths), _states(slots)
    whole = np.concatenate([nodes.prompt, nodes.prompt_at_output])
    prompt = np.maximum(1.0, whole * (1 - prefix_hit_share))
    done = whole - prompt + np.concatenate([nodes.found, nodes.found_at_output])
    batch = np.zeros_like(state) if first else state
    budget = np.maximum(step_tokens - batch * (1 + draft_tokens), 1.0)
    mean_prompt = float(nodes.prompt_weight @ prompt[: len(nodes.prompt)])
    behind = float(done.mean())
    if lengths.cached is not None:  # the prompt tokens in a step, by what is before them
        new, weight = nodes.prompt, nodes.prompt_weight
        behind = float((new * nodes.found) @ weight / (new @ weight))
    full = np.maximum(budget, mean_prompt)
    return FullSteps(state, batch, budget, full, prompt, done, mean_prompt, behind)


def pieces_of(mean_prompt: float, chunk_tokens: int, chunked: bool) -> float:
    """Chunks of a prompt of ``mean_prompt`` tokens, in steps of ``chunk_tokens`` at most."""
    return max(1.0, mean_prompt / chunk_tokens) if chunked else 1.0


Part = tuple[int, tuple[Floats | float, ...]]  # columns of a table, and what they hold


def one_batch(rows: int, parts: Sequence[Part]) -> tuple[StepBatch, tuple[tuple[int, ...], ...]]:
    """Several tables of (batch, context, prompt tokens, attended pairs, prompts) as one, and their shapes.

    rows: of each table.
    """
    shapes = tuple((rows, width) for width, _ in parts)
    columns = np.empty((5, sum(map(math.prod, shapes))))
    start = 0
    for (_, part), shape in zip(parts, shapes, strict=True):
        end = start + math.prod(shape)
        for column, values in zip(columns[:, start:end].reshape(5, *shape), part, strict=True):
            column[...] = values
        start = end
    n, context, tokens, pairs, some = columns
    return StepBatch(n, n * context, tokens, some, pairs, n + some), shapes


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


def _states(slots: float) -> Floats:
    """Batches from 0 to ``slots``, coarser as they grow."""
    exact = np.arange(0.0, min(EXACT_STATES, slots) + 1e-9)
    more = []
    n = exact[-1]
    while n < slots:
        n = min(max(n + 1, n * STATE_GROWTH), slots)
        more.append(n)
    return np.concatenate([exact, more])


def _widths(state: Floats) -> Floats:
    """How many integers each batch represents."""
    edges = np.concatenate([[-0.5], (state[1:] + state[:-1]) / 2, [state[-1] + 0.5]])
    return np.diff(edges)
