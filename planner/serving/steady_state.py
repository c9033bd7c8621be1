"""The closed form: what one replica does at a steady request rate, without playing it.

Decode is processor sharing whose speed depends on the batch: a request needs ``o - 1`` steps, and
all that run get one each. Such a queue is insensitive to the length distribution (Kelly 1979, ch. 3),
so with Poisson arrivals the number of requests in the system has the product form

    pi(n) ~ prod_{k=1..n} lambda E[o - 1] T(k) / min(k, c)          (1)

with T(k) the mean time of a decode step at batch k, prefill interference included:

    T(k) = D(k) / (1 - lambda delta(k))                              (2)

D: decode-only step; delta: what one request's prefill adds; c: batch slots or KV room. Prefills stall
decode while requests keep arriving, so n spreads more than (1) says: a request's decode work and the
prefills it meets form a delay busy period, in which the number of arrivals has variance / mean

    F = (1 - rho^2 + lambda^2 E[delta^2] + (CV^2 - 1) E[min(o, o')] / E[o]) / (1 - rho)^2     (3)

with rho = lambda delta (of one request more: prompts that share a step add little); each factor of (1)
is raised to 1 / F and the mean restored.

Time to first token, given n: the queue for prefill (GI/G/1, exponential tail), the rest of the running
step, the own prefill and what shares its step; and the queue for a slot when n >= c. Time per output
token, given n: the average of D over the request's life, which shrinks the deviation of n, plus the
prefills it meets, a gamma variable.

Everything is an array over (rate, state); one call of the step model prices all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.serving.replica_curves import ReplicaCurves

Floats = NDArray[np.float64]

NEGLIGIBLE_SHARE = 1e-5
ALMOST_POISSON = 1e-3
NEWTON_STEPS = 4
SHARING_STEPS = 4
RENEWAL_SAMPLE = 40_000
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SteadyState:
    """Probabilities and conditional times over (rate, state); see the module's docstring.

    share: probability of each state, the last one holding all that wait for a slot; step_s: T(n);
    prefill_s: delta(n), marginal_s: what one request more adds; behind_s: prefill work queued behind a
    request when its own ends;
    waiting_share: share of requests that wait for a slot; drain_qps: how fast that queue empties beyond
    its arrivals; load: of the prefill queue, busy: chance to wait in it, queue_wait_s: the mean of that
    wait; stable: whether the rate can last; waiting: requests without a slot.
    """

    curves: ReplicaCurves
    rate_qps: Floats
    share: Floats
    step_s: Floats
    prefill_s: Floats
    marginal_s: Floats
    behind_s: Floats
    waiting_share: Floats
    drain_qps: Floats
    load: Floats
    busy: Floats
    queue_wait_s: Floats
    stable: NDArray[np.bool_]
    waiting: Floats
    arrival_cv: float


def steady_state(curves: ReplicaCurves, rate_qps: Floats, arrival_cv: float = 1.0) -> SteadyState:
    """Solve (1) to (3) for an array of rates [requests/s]."""
    lam = np.asarray(rate_qps, dtype=float)[:, None]
    c = curves
    prefill, marginal = _prefill_work(c, lam, arrival_cv)
    load = np.minimum(lam * prefill, 0.98)
    swing = np.minimum(lam * marginal, 0.98)
    busy, chance, wait = _prefill_queue(c, lam, arrival_cv)
    mean_own = c.own_s @ c.nodes.prompt_weight
    later = lam * (mean_own + wait / c.prompts_per_step)
    behind = prefill * (later + companions(arrival_cv, lam * mean_own + later))
    alone = np.maximum(c.steps_per_request, _TINY) * c.decode_s
    step = np.minimum(c.decode_s * (1 + behind / alone) / (1 - load), c.longest_step_s)
    more = (arrival_cv**2 - 1) * c.overlap
    bursts = (lam * marginal) ** 2 * c.prefill_spread
    spread = (1 - swing**2 + bursts + more) / (1 - swing) ** 2
    power = 1 / np.maximum(spread, 0.2)
    work = lam * np.maximum(c.steps_per_request * step, _TINY)
    share, queue, last, ratio = _distribution(c, work, power)
    service = c.slots / np.maximum(c.steps_per_request * step[:, -1], _TINY)
    drain = np.maximum(service - lam[:, 0], _TINY) * power[:, -1]
    stable = (work[:, -1] < c.slots) & ((share * (busy < 1)).sum(axis=1) > 0.5)
    stable &= (share * lam * prefill).sum(axis=1) < 0.97
    return SteadyState(
        curves=c,
        rate_qps=lam[:, 0],
        share=share,
        step_s=step,
        prefill_s=prefill,
        marginal_s=marginal,
        behind_s=behind,
        waiting_share=queue + last,
        drain_qps=drain,
        load=np.minimum(busy, 0.999),
        busy=chance,
        queue_wait_s=wait,
        stable=stable,
        waiting=queue / np.maximum(1 - ratio, _TINY),
        arrival_cv=arrival_cv,
    )


def companions(arrival_cv: float, expected: Floats) -> Floats:
    """Arrivals soon after one arrival, beyond the ``expected`` number for their time (gamma process)."""
    if arrival_cv <= 1:
        return np.zeros_like(expected)
    counts, excess = _renewals(round(arrival_cv, 3))
    return np.asarray(np.interp(expected, counts, excess))


@lru_cache(maxsize=64)
def _renewals(arrival_cv: float) -> tuple[Floats, Floats]:
    """The renewal function of gamma gaps of mean 1, less its argument, from one fixed sample."""
    rng = np.random.default_rng(0)
    shape = 1 / arrival_cv**2
    times = np.cumsum(rng.gamma(shape, 1 / shape, RENEWAL_SAMPLE))
    grid = np.concatenate([[0.0], np.geomspace(1e-3, 30 * arrival_cv**2, 40)])
    starts = np.arange(RENEWAL_SAMPLE * 3 // 4)
    within = [np.searchsorted(times, times[starts] + x, side="right") - starts - 1 for x in grid]
    return grid, np.maximum([float(w.mean()) for w in within] - grid, 0.0)


def _prefill_work(c: ReplicaCurves, lam: Floats, arrival_cv: float) -> tuple[Floats, Floats]:
    """delta [s]: what one prefill adds when the prompts that arrive during a step share the next one,
    on average, and of one request more, which finds a prefill under way more often than not.
    """
    room = np.maximum(c.prompts_per_step, 1.0)
    step = c.decode_s + c.prefill_s
    for _ in range(SHARING_STEPS):
        arrivals = lam * step
        together = arrivals / -np.expm1(-arrivals) + companions(arrival_cv, arrivals)
        together = np.minimum(together, room)
        prefill = _shared_by(c, together)
        # with sharing the first form contracts, without it the second is exact
        sharing = 1 / together
        step = (c.decode_s + arrivals * prefill) ** (1 - sharing) * (
            c.decode_s / (1 - np.minimum(lam * prefill, 0.98))
        ) ** sharing
    alone = np.exp(-arrivals * np.minimum(room - 1, 1.0))
    beside = np.where(
        together < 2,
        2 * c.prefill_pair_s - c.prefill_s,
        2 * c.prefill_four_s - c.prefill_pair_s,
    )
    marginal = alone * c.prefill_s + (1 - alone) * np.maximum(beside, 0.0)
    return prefill, np.minimum(marginal, prefill)


def _shared_by(c: ReplicaCurves, together: Floats) -> Floats:
    """What a prompt adds when ``together`` of them share its step [s], between the priced numbers."""
    doublings = np.log2(np.maximum(together, 1.0))
    most = np.maximum(np.log2(np.maximum(c.prompts_per_step, 1.0)) - 2, 0.1)
    few = c.prefill_s + (c.prefill_pair_s - c.prefill_s) * np.minimum(doublings, 1.0)
    some = c.prefill_pair_s + (c.prefill_four_s - c.prefill_pair_s) * (doublings - 1)
    many = c.prefill_four_s + (c.prefill_shared_s - c.prefill_four_s) * (doublings - 2) / most
    return np.where(doublings <= 1, few, np.where(doublings <= 2, some, many))


def _distribution(
    c: ReplicaCurves, work: Floats, power: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Shares of the states; of those beyond the slots and of the last one; the tail's ratio.

    Raising (1) to a power moves its mean; the drift that restores "as many leave as arrive" is found by
    Newton's method.
    """
    gaps = np.diff(c.state)
    factor = (np.log(work) - np.log(np.maximum(c.state, 1.0))) * power
    climb = np.zeros_like(work)
    climb[:, 1:] = np.cumsum((factor[:, 1:] + _left(factor)) / 2 * gaps, axis=1)
    tilt = np.zeros_like(work)
    tilt[:, 1:] = np.cumsum((power[:, 1:] + _left(power)) / 2 * gaps, axis=1)
    # requests leave a state at n / work times the rate they arrive at
    leaving = np.minimum(c.state, c.slots) / work

    drift = np.zeros((len(work), 1))
    if np.abs(power - 1).max() > ALMOST_POISSON:
        for _ in range(NEWTON_STEPS):
            height = climb + drift * tilt
            mass = np.exp(height - height.max(axis=1, keepdims=True)) * c.width
            mass /= mass.sum(axis=1, keepdims=True)
            flow = mass * leaving
            out = flow.sum(axis=1, keepdims=True)
            rise = (flow * tilt).sum(axis=1, keepdims=True)
            rise -= out * (mass * tilt).sum(axis=1, keepdims=True)
            move = np.log(out) * out / np.maximum(rise, _TINY)
            drift = np.clip(drift - np.clip(move, -1.0, 1.0), -2.5, 1.5)
    height = climb + drift * tilt
    top = height.max(axis=1, keepdims=True)
    mass = np.exp(height - top) * c.width
    last = np.exp(height[:, -1] - top[:, 0])
    grows = (np.log(work[:, -1] / c.slots) + np.minimum(drift[:, 0], 0.0)) * power[:, -1]
    ratio = np.minimum(np.exp(grows), 0.9999)
    queue = last * ratio / (1 - ratio)
    total = mass.sum(axis=1) + queue
    mass[:, -1] += queue
    return mass / total[:, None], queue / total, last / total, ratio


def _prefill_queue(
    c: ReplicaCurves, lam: Floats, arrival_cv: float
) -> tuple[Floats, Floats, Floats]:
    """Load of the prefill queue, chance to wait in it, and mean wait [s], by (rate, state).

    GI/G/1 by two moments (Kraemer and Langenbach-Belz 1976; Whitt 1983, QNA, eqs. 44 and 49).
    """
    busy = lam * c.queue_s
    rho = np.minimum(busy, 0.999)
    ca2 = arrival_cv**2
    cs2 = np.maximum(c.queue_second_moment / np.maximum(c.queue_s, _TINY) ** 2 - 1, 0.0)
    if ca2 >= 1:
        calm = np.ones_like(rho)
        burst = 4 * rho / (ca2 + rho**2 * (4 * ca2 + cs2))
        chance = rho + (ca2 - 1) * rho * (1 - rho) * burst
    else:
        calm = np.exp(-2 * (1 - rho) * (1 - ca2) ** 2 / (3 * rho * (ca2 + cs2 + 1e-3)))
        chance = rho
    wait = (ca2 + cs2) / 2 * rho / (1 - rho) * c.queue_s * calm
    return busy, np.minimum(chance, 1.0), np.maximum(wait, _TINY)


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
                "prefill_pair_s",
                "prefill_four_s",
                "prefill_shared_s",
                "prompts_per_step",
                "own_s",
                "own_at_output_s",
                "queue_s",
                "queue_second_moment",
                "full_step_s",
                "residual_s",
                "longest_step_s",
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
        prefill_s=states(s.prefill_s),
        marginal_s=states(s.marginal_s),
        behind_s=states(s.behind_s),
        load=states(s.load),
        busy=states(s.busy),
        queue_wait_s=states(s.queue_wait_s),
        waiting_share=rates(s.waiting_share),
        drain_qps=rates(s.drain_qps),
        waiting=rates(s.waiting),
    )
