"""The closed form: what one replica does at a steady request rate, without playing it.

Decode is processor sharing whose speed depends on the batch: a request needs ``o - 1`` steps, and
all that run get one each. Such a queue is insensitive to the length distribution (Kelly 1979, ch. 3),
so with Poisson arrivals the number of requests in the system has the product form

    pi(n) ~ prod_{k=1..n} lambda E[o - 1] T(k) / min(k, c)          (1)

with T(k) the mean time of a decode step at batch k, prefill interference included:

    T(k) = D(k) + delta(k) h(k) / E[o - 1]                           (2)

D: decode-only step; delta: what one request's prefill adds; h: prefills that a request meets, both from
``prefill_sharing``; c: batch slots or KV room. Prefills stall decode while requests keep arriving, so n
spreads more than (1) says: a request's decode work and the prefills it meets form a delay busy period,
in which the number of arrivals has variance / mean

    F = (1 - rho^2 + lambda^2 E[delta^2] + (CV^2 - 1) E[min(o, o')] / E[o]) / (1 - rho)^2     (3)

with rho = lambda delta (of one request more: prompts that share a step add little); each factor of (1)
is raised to 1 / F and the mean restored.

Time to first token, given n: the rest of the running step, full steps, the own step and what others add
to it; and the queue for a slot when n >= c. Time per output token, given n: the average of D over the
request's life, which shrinks the deviation of n, plus the prefills it meets, a shifted gamma variable.

Everything is an array over (rate, state); one call of the step model prices all of it.

``arrival_cv``: standard deviation over mean of the gaps between requests; ``rate_qps``: [requests/s].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from planner.serving.closed_form import bounds
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.prefill_sharing import (
    PrefillSharing,
    prefill_sharing,
    prefills_met,
)
from planner.serving.closed_form.replica_curves import ReplicaCurves
from planner.serving.curve_rows import CurveRows, rows_of

Floats = NDArray[np.float64]

NEGLIGIBLE_SHARE = 1e-5  # of the time: states below it change no percentile that is printed
ALMOST_POISSON = 1e-3  # from 1: a power of (1) that need not have its mean restored
NEWTON_STEPS = 4  # the drift has converged to rounding by then
LEAST_LOG = -680.0  # of a state that adds nothing to a sum; exponentials that underflow are slow


@dataclass(frozen=True, slots=True, eq=False)
class SteadyState:
    """Probabilities and conditional times over (rate, state); see the module's docstring.

    share: probability of each state, the last one holding all that wait for a slot; step_s: T(n);
    waiting_share: share of requests that wait for a slot; drain_qps: how fast that queue empties beyond
    its arrivals; stable: whether the rate can last; waiting: requests without a slot. ``rows``: the
    curves, laid out by rate; of several replicas solved together ``curves`` are the first one's.
    ``answer_times``: what ``slow_answers`` worked out before it looked at a target, where that is little.
    """

    curves: ReplicaCurves
    rows: CurveRows
    rate_qps: Floats
    share: Floats
    step_s: Floats
    sharing: PrefillSharing
    waiting_share: Floats
    drain_qps: Floats
    stable: NDArray[np.bool_]
    waiting: Floats
    arrival_cv: float
    answer_times: list[tuple[Floats, ...]] = field(default_factory=list)


def steady_state(curves: ReplicaCurves, rate_qps: Floats, arrival_cv: float = 1.0) -> SteadyState:
    """Solve (1) to (3) for an array of rates [requests/s]."""
    rates = np.asarray(rate_qps, dtype=float)
    return _solved(curves, rows_of([curves]), rates, arrival_cv)


def solved_together(
    many: Sequence[ReplicaCurves], rate_qps: Sequence[Floats], arrival_cv: float
) -> SteadyState:
    """Solve (1) to (3) for several replicas with equally many rates each: the rows of all.

    rate_qps: of each replica [requests/s].
    """
    rows = rows_of(many, len(rate_qps[0]))
    return _solved(many[0], rows, np.concatenate(rate_qps), arrival_cv)


def apart(s: SteadyState, many: Sequence[ReplicaCurves]) -> list[SteadyState]:
    """The states of each of the replicas that were solved together."""
    each = len(s.rate_qps) // len(many)
    parts = fields(PrefillSharing)

    def one(curves: ReplicaCurves, first: int) -> SteadyState:
        rows = slice(first, first + each)
        own = (rows, slice(len(curves.state)))
        sharing = {f.name: getattr(s.sharing, f.name)[own] for f in parts}
        return replace(
            s,
            curves=curves,
            rows=rows_of([curves]),
            rate_qps=s.rate_qps[rows],
            share=s.share[own],
            step_s=s.step_s[own],
            sharing=PrefillSharing(**sharing),
            waiting_share=s.waiting_share[rows],
            drain_qps=s.drain_qps[rows],
            stable=s.stable[rows],
            waiting=s.waiting[rows],
            answer_times=[],
        )

    return [one(curves, k * each) for k, curves in enumerate(many)]


def _solved(
    curves: ReplicaCurves, c: CurveRows, rate_qps: Floats, arrival_cv: float
) -> SteadyState:
    lam = rate_qps[:, None]
    slots = c.slots[:, 0]
    sharing = prefill_sharing(c, lam, arrival_cv)
    prefill, marginal = sharing.prefill_s, sharing.marginal_s
    swing = np.minimum(lam * marginal, bounds.MOST_LOAD)
    steps = np.array([max(c.steps_per_request, TINY)])
    decode = np.broadcast_to(c.decode_s, prefill.shape)[:, :, None]
    hits = prefills_met(c, sharing, lam, decode, steps, arrival_cv)[:, :, 0]
    step = np.minimum(c.decode_s + prefill * hits / steps, c.longest_step_s)
    more = (arrival_cv**2 - 1) * c.overlap
    bursts = (lam * marginal) ** 2 * c.prefill_spread
    spread = (1 - swing**2 + bursts + more) / (1 - swing) ** 2
    power = 1 / np.maximum(spread, bounds.LEAST_SPREAD)
    work = lam * np.maximum(c.steps_per_request * step, TINY)
    share, queue, last, ratio = _distribution(c, work, power)
    service = slots / np.maximum(c.steps_per_request * step[:, -1], TINY)
    drain = np.maximum(service - lam[:, 0], TINY) * power[:, -1]
    keeping_up = c.added(share * (sharing.load < 1))
    stable = (work[:, -1] < slots) & (keeping_up > bounds.LASTING_STATES)
    stable &= c.added(share * lam * c.prefill_shared_s) < bounds.LASTING_PREFILL
    return SteadyState(
        curves=curves,
        rows=c,
        rate_qps=rate_qps,
        share=share,
        step_s=step,
        sharing=sharing,
        waiting_share=queue + last,
        drain_qps=drain,
        stable=stable,
        waiting=queue / np.maximum(1 - ratio, TINY),
        arrival_cv=arrival_cv,
    )


def _distribution(
    c: CurveRows, work: Floats, power: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Shares of the states; of those beyond the slots and of the last one; the tail's ratio.

    Raising (1) to a power moves its mean; the drift that restores "as many leave as arrive" is found by
    Newton's method.
    """
    gaps = np.diff(c.state, axis=1)
    factor = (np.log(work) - np.log(np.maximum(c.state, 1.0))) * power
    climb = np.zeros_like(work)
    climb[:, 1:] = np.cumsum((factor[:, 1:] + _left(factor)) / 2 * gaps, axis=1)
    tilt = np.zeros_like(work)
    tilt[:, 1:] = np.cumsum((power[:, 1:] + _left(power)) / 2 * gaps, axis=1)
    # requests leave a state at n / work times the rate they arrive at
    leaving = np.minimum(c.state, c.slots) / work

    drift = np.zeros((len(work), 1))
    away = np.abs(power - 1).reshape(c.replicas, -1).max(axis=1) > ALMOST_POISSON
    if away.any():
        for _ in range(NEWTON_STEPS):
            height = climb + drift * tilt
            height -= height.max(axis=1, keepdims=True)
            mass = np.exp(np.maximum(height, LEAST_LOG)) * c.width
            mass /= c.added(mass)[:, None]
            flow = mass * leaving
            out = c.added(flow)[:, None]
            rise = c.added(flow * tilt)[:, None]
            rise -= out * c.added(mass * tilt)[:, None]
            move = np.log(out) * out / np.maximum(rise, TINY)
            step = np.clip(move, -bounds.NEWTON_MOVE, bounds.NEWTON_MOVE)
            drift = np.clip(drift - step, *bounds.DRIFT)
        if not away.all():
            drift *= np.repeat(away, len(work) // c.replicas)[:, None]
    height = climb + drift * tilt
    top = height.max(axis=1, keepdims=True)
    mass = np.exp(height - top) * c.width
    last = np.exp(height[:, -1] - top[:, 0])
    grows = (np.log(work[:, -1] / c.slots[:, 0]) + np.minimum(drift[:, 0], 0.0)) * power[:, -1]
    ratio = np.minimum(np.exp(grows), bounds.MOST_RATIO)
    queue = last * ratio / (1 - ratio)
    total = c.added(mass) + queue
    c.at_end(mass, mass[:, -1] + queue)
    return mass / total[:, None], queue / total, last / total, ratio


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
    keep[-2:] = True  # a slope needs two, however full the replica is
    c = s.curves
    few = replace(
        c,
        **{
            name: getattr(c, name)[keep]
            for name in (
                "state",
                "width",
                "decode_s",
                "context_s",
                "prefill_s",
                "prefill_pair_s",
                "prefill_four_s",
                "prefill_shared_s",
                "prompts_per_step",
                "own_s",
                "own_at_output_s",
                "queue_s",
                "longest_step_s",
                "gap_s",
            )
        },
    )

    def states(values: Floats) -> Floats:
        return np.broadcast_to(values[0, keep], (copies, int(keep.sum())))

    def rates(values: Floats) -> Floats:
        return np.broadcast_to(values[0], (copies,))

    parts = fields(PrefillSharing)
    return replace(
        s,
        curves=few,
        rows=rows_of([few]),
        rate_qps=rates(s.rate_qps),
        share=states(s.share),
        step_s=states(s.step_s),
        sharing=PrefillSharing(**{f.name: states(getattr(s.sharing, f.name)) for f in parts}),
        waiting_share=rates(s.waiting_share),
        drain_qps=rates(s.drain_qps),
        waiting=rates(s.waiting),
        answer_times=[],
    )
