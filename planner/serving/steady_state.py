"""The closed form: what one replica does at a steady request rate, without playing it.

Decode is processor sharing whose speed depends on the batch: a request needs ``o - 1`` steps, and
all that run get one each. Such a queue is insensitive to the length distribution (Kelly 1979, ch. 3),
so with Poisson arrivals the number of requests in the system has the product form

    pi(n) ~ prod_{k=1..n} lambda E[o - 1] T(k) / min(k, c)          (1)

with T(k) the mean time of a decode step at batch k, prefill interference included:

    T(k) = D(k) / (1 - lambda delta(k))                              (2)

D: decode-only step; delta: what one request's prefill adds; c: batch slots or KV room. For arrivals of
another CV each factor of (1) is raised to 2 / (1 + CV^2) (heavy-traffic diffusion).

Time to first token, given n: the queue for prefill (M/G/1 with the decode step as vacation, Kingman's
correction for CV; exponential tail), the rest of the running step, the own prefill; and the queue for
a slot when n >= c. Time per output token, given n: the average of T over the request's life, which
shrinks the deviation of n, plus the chance of prefills it meets.

Everything is an array over (rate, state); one call of the step model prices all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch, StepModel
from planner.serving.lengths import JointLengths
from planner.serving.limits import ReplicaLimits

Floats = NDArray[np.float64]

EXACT_STATES = 24  # batches 0, 1, ..., then in steps of 8 %
STATE_GROWTH = 1.08
_PROMPT_EDGES = np.array([0.0, 0.4, 0.75, 0.9, 0.97, 0.99, 0.995, 1.0])
_OUTPUT_EDGES = np.array([0.0, 0.1, 0.3, 0.42, 0.5, 0.58, 0.75, 0.9, 0.97, 0.99, 0.995, 1.0])
_UNIFORM_NODES = np.array([0.1127, 0.5, 0.8873])  # Gauss-Legendre on [0, 1]
_UNIFORM_WEIGHTS = np.array([5, 8, 5]) / 18
_TINY = 1e-12
NEGLIGIBLE_SHARE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class LengthNodes:
    """A few weighted prompts and answers that stand for the distribution, its tail included [tokens]."""

    prompt: Floats
    prompt_weight: Floats
    output: Floats
    output_weight: Floats
    prompt_at_output: Floats


@lru_cache(maxsize=256)
def length_nodes(lengths: JointLengths) -> LengthNodes:
    """Bin means between fixed probabilities."""
    p, o = lengths.prompt.astype(float), lengths.output.astype(float)
    prompt, prompt_weight, _ = _bins(p, p, _PROMPT_EDGES)
    output, output_weight, at = _bins(o, p, _OUTPUT_EDGES)
    return LengthNodes(prompt, prompt_weight, output, output_weight, at)


def _bins(values: Floats, partner: Floats, edges: Floats) -> tuple[Floats, Floats, Floats]:
    if values.min() == values.max():
        return values[:1], np.ones(1), np.array([partner.mean()])
    order = np.argsort(values, kind="stable")
    cuts = np.unique(np.round(edges * len(values)).astype(int))
    size = np.diff(cuts)
    mean = np.add.reduceat(values[order], cuts[:-1]) / size
    return mean, size / len(values), np.add.reduceat(partner[order], cuts[:-1]) / size


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaCurves:
    """Step times of one replica by batch, for one length distribution.

    state: requests in the system, the last one is ``slots``; decode_s: D; prefill_s: delta for the
    mean prompt, by state; own_s: the own prefill's steps, by (state, prompt node), own_at_output_s: by
    (state, output node); queue_s and queue_second_moment: the prefill queue's service time and E[S^2],
    by state; gap_s: how long a decode step gets when a prompt of each node is in it, by (state, node);
    slots, slot_bound: the largest batch and what bounds it; steps_per_request: E[o - 1] in steps.
    """

    scheduler: Scheduler
    state: Floats
    width: Floats
    decode_s: Floats
    prefill_s: Floats
    prefill_second_moment: Floats
    own_s: Floats
    own_at_output_s: Floats
    queue_s: Floats
    queue_second_moment: Floats
    gap_s: Floats
    slots: float
    slot_bound: str
    steps_per_request: float
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
    kv_bytes = mean_kv_bytes(limits, lengths)
    slots, bound = _slots(limits, kv_bytes)
    state, width = _states(slots)
    context = lengths.mean_context_in_flight
    whole = np.concatenate([nodes.prompt, nodes.prompt_at_output])
    prompt = np.maximum(1.0, whole * (1 - prefix_hit_share))
    done = whole - prompt
    count_of_prompts = len(nodes.prompt)
    first = limits.scheduler is Scheduler.PREFILL_FIRST
    batch = np.zeros_like(state) if first else state
    budget = limits.max_num_batched_tokens - batch * (1 + limits.draft_tokens)
    budget = np.maximum(budget, 1.0)[:, None]
    chunk = np.minimum(prompt, budget) if limits.chunked else prompt + 0 * budget
    count = np.ceil(prompt / chunk)
    last = prompt - (count - 1) * chunk
    n = np.broadcast_to(batch[:, None], chunk.shape)
    mean_prompt = float(nodes.prompt_weight @ prompt[:count_of_prompts])
    full = np.maximum(budget, mean_prompt)
    parts = [
        (state[:, None], 0.0 * state[:, None], 0.0 * state[:, None]),
        (n, chunk, chunk * (done + (count - 1) * chunk / 2) + chunk * (chunk + 1) / 2),
        (n, last, last * (done + (count - 1) * chunk) + last * (last + 1) / 2),
        (batch[:, None], full, full * (done.mean() + mean_prompt / 2)),
    ]
    priced = _price(steps, parts, context)
    decode, chunk_s, last_s, full_s = priced
    decode = decode[:, 0]
    full_s = full_s[:, 0]
    base = np.where(batch > 0, decode, 0.0) if not first else np.zeros_like(decode)
    idle_step = decode[min(1, len(decode) - 1)]
    every_own = (count - 1) * chunk_s + last_s
    own, last_s, count = (a[:, :count_of_prompts] for a in (every_own, last_s, count))
    delta = np.maximum(own - count * base[:, None], 0.0)
    per_step = np.maximum(1.0, full[:, 0] / mean_prompt)
    if not limits.chunked:
        per_step = np.floor(per_step)
    w = nodes.prompt_weight
    mean_delta = delta @ w
    shared = np.minimum(mean_delta, np.maximum(full_s - base, 0.0) / per_step)
    work = np.where(first, shared, np.maximum(shared + base / per_step, _TINY))
    spread = (delta**2) @ w / np.maximum(mean_delta, _TINY) ** 2
    gap = last_s if not first else own
    decode = np.where(state > 0, decode, idle_step)
    return ReplicaCurves(
        scheduler=limits.scheduler,
        state=state,
        width=width,
        decode_s=decode,
        prefill_s=mean_delta,
        prefill_second_moment=(delta**2) @ w,
        own_s=own,
        own_at_output_s=every_own[:, count_of_prompts:],
        queue_s=work,
        queue_second_moment=work**2 * np.maximum(spread, 1.0),
        gap_s=gap + (decode[:, None] if first else 0.0),
        slots=slots,
        slot_bound=bound,
        steps_per_request=max(lengths.mean_output - 1, 0.0) / limits.tokens_per_step,
        tokens_per_step=limits.tokens_per_step,
        kv_bytes_per_request=kv_bytes,
        kv_pool_bytes=limits.kv_pool_bytes,
        nodes=nodes,
        admission_s=float(getattr(steps, "admission_s", 0.0)),
    )


def _price(
    steps: StepModel, parts: list[tuple[Floats, Floats, Floats]], context: float
) -> list[Floats]:
    """Step times of several tables of (batch, prompt tokens, attended pairs) in one call."""
    tables = [tuple(np.broadcast_arrays(*part)) for part in parts]
    n, tokens, pairs = (np.concatenate([t[i].ravel() for t in tables]) for i in range(3))
    some = (tokens > 0).astype(float)
    batch = StepBatch(n, n * context, tokens, some, pairs, n + some)
    seconds = np.asarray(steps.step_seconds(batch), dtype=float)
    cuts = np.cumsum([t[0].size for t in tables])[:-1]
    return [s.reshape(t[0].shape) for s, t in zip(np.split(seconds, cuts), tables, strict=True)]


def mean_kv_bytes(limits: ReplicaLimits, lengths: JointLengths) -> float:
    """KV bytes of a request averaged over its time in the batch and over requests in flight [B].

    Long answers stay longer and weigh more; where admission reserves the worst case, that counts.
    """
    p, o = lengths.prompt.astype(float), lengths.output.astype(float)
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


def _slots(limits: ReplicaLimits, kv_bytes: float) -> tuple[float, str]:
    room = limits.kv_pool_bytes / kv_bytes if kv_bytes > 0 else np.inf
    room = max(room, 1.0)
    if room < limits.max_num_seqs:
        return float(room), "kv pool"
    return float(limits.max_num_seqs), "max_num_seqs"


def _states(slots: float) -> tuple[Floats, Floats]:
    """Batches from 0 to ``slots``, coarser as they grow, and how many integers each stands for."""
    exact = np.arange(0.0, min(EXACT_STATES, slots) + 1e-9)
    more = []
    n = exact[-1]
    while n < slots:
        n = min(max(n + 1, n * STATE_GROWTH), slots)
        more.append(n)
    state = np.concatenate([exact, more])
    edges = np.concatenate([[-0.5], (state[1:] + state[:-1]) / 2, [state[-1] + 0.5]])
    return state, np.diff(edges)


@dataclass(frozen=True, slots=True, eq=False)
class SteadyState:
    """Probabilities and conditional times over (rate, state); see the module's docstring.

    share: probability of each state, the last one holding all that wait for a slot; step_s: T(n);
    waiting_share: share of requests that wait for a slot; drain_qps: how fast that queue empties
    beyond its arrivals; busy: load of the prefill queue by state; stable: whether the rate can last.
    """

    curves: ReplicaCurves
    rate_qps: Floats
    share: Floats
    step_s: Floats
    waiting_share: Floats
    drain_qps: Floats
    busy: Floats
    queue_wait_s: Floats
    stable: NDArray[np.bool_]
    waiting: Floats


def steady_state(curves: ReplicaCurves, rate_qps: Floats, arrival_cv: float = 1.0) -> SteadyState:
    """Solve (1) and (2) for an array of rates [requests/s]."""
    lam = np.asarray(rate_qps, dtype=float)[:, None]
    c = curves
    power = 2 / (1 + arrival_cv**2)
    load = np.minimum(lam * c.prefill_s, 0.999)
    step = c.decode_s / (1 - load)
    busy = lam * c.queue_s
    work = lam * np.maximum(c.steps_per_request * step, _TINY)
    factor = np.log(work) - np.log(np.maximum(c.state, 1.0))
    climb = np.zeros_like(work)
    gaps = np.diff(c.state)
    climb[:, 1:] = np.cumsum((factor[:, 1:] * 0.5 + _left(factor) * 0.5) * gaps, axis=1)
    climb *= power
    climb -= climb.max(axis=1, keepdims=True)
    mass = np.exp(climb) * c.width
    ratio = np.minimum((work[:, -1] / c.slots) ** power, 0.9999)
    last = np.exp(climb[:, -1])
    queue = last * ratio / (1 - ratio)
    total = mass.sum(axis=1) + queue
    share = mass / total[:, None]
    share[:, -1] += queue / total
    service = c.slots / np.maximum(c.steps_per_request * step[:, -1], _TINY)
    drain = np.maximum(service - lam[:, 0], _TINY) * power
    spread = (arrival_cv**2 + c.queue_second_moment / np.maximum(c.queue_s, _TINY) ** 2 - 1) / 2
    room = np.maximum(1 - busy, 1e-4)
    wait = np.maximum(spread, 0.05) * busy / room * c.queue_s
    stable = (work[:, -1] < c.slots) & ((share * (busy < 1)).sum(axis=1) > 0.5)
    stable &= (share * (lam * c.prefill_s)).sum(axis=1) < 0.99
    return SteadyState(
        curves=c,
        rate_qps=lam[:, 0],
        share=share,
        step_s=step,
        waiting_share=(queue + last) / total,
        drain_qps=drain,
        busy=busy,
        queue_wait_s=wait,
        stable=stable,
        waiting=queue / total / np.maximum(1 - ratio, _TINY),
    )


def _left(factor: Floats) -> Floats:
    """The factor at each interval's left end; the first step from 0 to 1 uses state 1 alone."""
    left = factor[:, :-1].copy()
    left[:, 0] = factor[:, 1]
    return left


def at_one_rate(s: SteadyState, copies: int) -> SteadyState:
    """The first rate alone, ``copies`` times, without the states that hardly occur.

    One target per copy then gives a whole distribution function at once.
    """
    keep = s.share[0] > NEGLIGIBLE_SHARE
    keep[-1] = True
    c = s.curves
    few = replace(
        c,
        **{
            name: getattr(c, name)[keep]
            for name in (
                "state",
                "width",
                "decode_s",
                "prefill_s",
                "prefill_second_moment",
                "own_s",
                "own_at_output_s",
                "queue_s",
                "queue_second_moment",
                "gap_s",
            )
        },
    )

    def states(values: Floats) -> Floats:
        return np.broadcast_to(values[0, keep], (copies, int(keep.sum())))

    def rates(values: Floats) -> Floats:
        return np.broadcast_to(values[0], (copies,))

    return replace(
        s,
        curves=few,
        rate_qps=rates(s.rate_qps),
        share=states(s.share),
        step_s=states(s.step_s),
        busy=states(s.busy),
        queue_wait_s=states(s.queue_wait_s),
        waiting_share=rates(s.waiting_share),
        drain_qps=rates(s.drain_qps),
        waiting=rates(s.waiting),
    )


def _by_rate(target_s: Floats | float) -> Floats:
    """A target, or one per rate, ready for (rate, state, node)."""
    return np.asarray(target_s, dtype=float).reshape(-1, 1, 1)


def late_first_tokens(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TTFT > target) by (rate, state); the target may be one per rate."""
    c = s.curves
    behind = (s.rate_qps[:, None] * c.prefill_s * c.decode_s / 2)[:, :, None]
    own = c.own_s[None] + behind + c.admission_s
    weight = c.nodes.prompt_weight
    return _late(s, _by_rate(target_s) - own, weight)


def late_ends(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(E2E > target) by (rate, state)."""
    c = s.curves
    tpot, _ = _mean_tpot(s)
    life = tpot * (c.nodes.output - 1)
    own = c.own_at_output_s[None] + c.admission_s
    return _late(s, _by_rate(target_s) - own - life, c.nodes.output_weight)


def _late(s: SteadyState, left_s: Floats, weight: Floats) -> Floats:
    """P(wait + rest of the running step > left) by (rate, state), averaged over nodes."""
    c = s.curves
    rest = np.where(c.state > 0, c.decode_s, 0.0)[None, :, None]
    chance = np.minimum(s.busy, 1.0)[:, :, None]
    decay = chance / np.maximum(s.queue_wait_s, _TINY)[:, :, None]
    slot_decay = s.drain_qps[:, None]
    late = np.zeros(left_s.shape)
    for node, node_weight in zip(_UNIFORM_NODES, _UNIFORM_WEIGHTS, strict=True):
        left = left_s - node * rest
        over = np.where(left > 0, chance * np.exp(-np.maximum(left, 0) * decay), 1.0)
        late += node_weight * over
    waits = s.waiting_share / np.maximum(s.share[:, -1], _TINY)
    left = left_s[:, -1]
    slot = np.where(left > 0, np.exp(-np.maximum(left, 0) * slot_decay), 1.0)
    waits = np.minimum(waits, 1.0)[:, None]
    late[:, -1] = 1 - (1 - late[:, -1]) * (1 - waits * slot)
    return np.asarray(late @ weight)


def _mean_tpot(s: SteadyState) -> tuple[Floats, Floats]:
    """Mean TPOT by (rate, state, output node), and its variance from the prefills met [s, s^2].

    The deviation of T(n + 1) from its mean shrinks by the averaging over the request's life, with n's
    correlation time = mean life x var(n) / mean(n).
    """
    c = s.curves
    beside = np.minimum(np.arange(len(c.state)) + 1, len(c.state) - 1)
    seen = s.step_s + (s.step_s[:, beside] - s.step_s) / np.maximum(c.state[beside] - c.state, 1.0)
    mean = (s.share * seen).sum(axis=1)[:, None, None]
    n_mean = (s.share * c.state).sum(axis=1)
    n_var = (s.share * c.state**2).sum(axis=1) - n_mean**2
    memory = np.maximum(n_var / np.maximum(n_mean, _TINY), 0.2)[:, None] * c.steps_per_request
    x = np.maximum((c.nodes.output - 1) / c.tokens_per_step, 1.0) / np.maximum(memory, _TINY)
    shrink = np.sqrt(2 * (x - 1 + np.exp(-x)) / x**2)[:, None, :]
    step = mean + (seen[:, :, None] - mean) * shrink
    steps = np.maximum((c.nodes.output - 1) / c.tokens_per_step, 1.0)
    met = s.rate_qps[:, None, None] * step / steps
    variance = met * c.prefill_second_moment[None, :, None]
    return step / c.tokens_per_step, variance / c.tokens_per_step**2


def slow_answers(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TPOT > target) among requests with two tokens or more, by (rate, state)."""
    mean, variance = _mean_tpot(s)
    several = s.curves.nodes.output > 1
    weight = s.curves.nodes.output_weight * several
    if weight.sum() == 0:
        return np.zeros(s.share.shape)
    z = (_by_rate(target_s) - mean) / np.sqrt(variance + _TINY)
    return np.asarray(normal_tail(z) @ (weight / weight.sum()))


def long_gaps(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(gap between two tokens > target) by (rate, state), weighted by what decodes there."""
    c = s.curves
    hit = 1 - np.exp(-s.rate_qps[:, None] * s.step_s)
    target = _by_rate(target_s)
    stalled = (c.gap_s[None] > target) @ c.nodes.prompt_weight
    gaps = hit * stalled + (1 - hit) * (c.decode_s[None] > target[:, :, 0])
    weighted: Floats = (
        gaps * c.state / np.maximum((s.share * c.state).sum(axis=1, keepdims=True), _TINY)
    )
    return weighted


def normal_tail(z: Floats) -> Floats:
    """P(N(0, 1) > z), to 2e-4 (Bowling et al. 2009, logistic approximation)."""
    z = np.clip(z, -8, 8)
    return np.asarray(1 / (1 + np.exp(1.5976 * z + 0.07056 * z**3)))
