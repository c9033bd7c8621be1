"""Which prompts share an engine step, and how long a prompt waits for its own: part of the closed form.

Prompts that arrive during a step share the next one. An arrival opens a batch when the arrival before
it came in an earlier step, and it opens a series of steps with prompts when, besides, the prompts of
that step were done. With gaps between arrivals of survival G, w the length of a step without prompts
and b of one with k of them, both in mean gaps, and r the rest of a step, uniform over it:

    k = 1 / E[G(r)],        arrivals in a series = 1 / E[G(r + b)]                       (4)

What a full step has no room for is left behind. Where a step has room for one prompt this is the wait
of a GI/G/1 queue beyond the prompt in service, rho (rho + (CV^2 - 1)(1 - rho) / c) c delta / (2 (1 - rho))
with c = CV^2 + E[delta^2] / E[delta]^2 - 1; its chance falls with the room r as rho^(1 + (r - 1) / c).

A request meets prefills while it decodes. Prompts that go first are all done before decode continues, and
so are those that come meanwhile: lambda w / (1 - rho) of them in w seconds of decoding. Prompts that go
beside stall only the next step, n' = lambda (D + delta n), and a short answer sees few steps.

``arrival_cv``: standard deviation over mean of the gaps between requests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.serving.closed_form import bounds
from planner.serving.closed_form.arrival_gaps import companions, gap_within
from planner.serving.closed_form.bounds import TINY
from planner.serving.curve_rows import CurveRows

Floats = NDArray[np.float64]

SHARING_STEPS = 2
NO_TIME = 1e-7  # of a replica that waits for work, in mean gaps
LOG_OF_NOTHING = np.log(1e-17)  # less than half of what 1 can lose


@dataclass(frozen=True, slots=True, eq=False)
class PrefillSharing:
    """Prompts and steps, by (rate, state).

    prefill_s: delta, what a prompt adds among those that share its step; marginal_s: what one request
    more adds; in_pause: chance to arrive in a step without prompts, beside_s: what others then add to the
    own step; busy_wait_s, busy_variance_s2: wait of those that arrive in a step with prompts;
    spilled_variance_s2: its part of prompts that the own step has no room for; joined: mean
    arrivals after a prompt that still share its step, later: those that come before that step ends and do
    not; load: of full steps; overflow: chance to be left behind by them, overflow_s: mean wait of those.
    """

    prefill_s: Floats
    marginal_s: Floats
    in_pause: Floats
    beside_s: Floats
    busy_wait_s: Floats
    busy_variance_s2: Floats
    spilled_variance_s2: Floats
    joined: Floats
    later: Floats
    load: Floats
    overflow: Floats
    overflow_s: Floats

    @property
    def wait_s(self) -> Floats:
        """Mean wait for the own step, and what others add to it [s]."""
        return self.in_pause * self.beside_s + (1 - self.in_pause) * self.busy_wait_s

    @property
    def left_behind_s(self) -> Floats:
        """Mean wait behind full steps [s]."""
        return self.overflow * self.overflow_s


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps with and without prompts, in mean gaps between arrivals, by (rate, state).

    pause, busy: how long one without and one with prompts takes; together: prompts in the latter;
    in_pause: chance to arrive in a pause; alone: chance that a prompt shares its step with no other.
    """

    pause: Floats
    busy: Floats
    together: Floats
    in_pause: Floats
    alone: Floats


class _StepCost:
    """What k prompts add to a step [s], by state: straight lines between one, two, four and a full step."""

    def __init__(self, c: CurveRows, room: Floats) -> None:
        knots = [np.ones_like(room), np.minimum(2.0, room), np.minimum(4.0, room), room]
        each = (c.prefill_s, c.prefill_pair_s, c.prefill_four_s, c.prefill_shared_s)
        costs = [k * seconds for k, seconds in zip(knots, each, strict=True)]
        self._one = costs[0]
        self._slopes = [
            np.maximum(more - cost, 0.0) / np.maximum(wide - knot, TINY)
            for cost, more, knot, wide in zip(costs, costs[1:], knots, knots[1:], strict=False)
        ]

    def of(self, others: Floats) -> Floats:
        """What ``others`` add to the step of one prompt [s]."""
        few, some, many = self._slopes
        more = few * np.minimum(others, 1.0) + some * np.clip(others - 1, 0.0, 2.0)
        return np.asarray(more + many * np.maximum(others - 3, 0.0))

    def each(self, together: Floats) -> Floats:
        """delta of ``together`` that share a step [s]."""
        return np.asarray((self._one + self.of(together - 1)) / together)

    def beside(self, together: Floats) -> Floats:
        """What one prompt more adds [s]."""
        few, some, many = self._slopes
        return np.asarray(np.where(together < 2, few, np.where(together < 4, some, many)))


def prefill_sharing(c: CurveRows, lam: Floats, arrival_cv: float) -> PrefillSharing:
    """Solve (4) for request rates ``lam`` [requests/s] (a column) and every state."""
    room = np.maximum(c.prompts_per_step, 1.0)
    cost = _StepCost(c, room)
    steps = _steps(c, cost, lam, room, arrival_cv)
    together = steps.together
    prefill, beside = cost.each(together), cost.beside(together)
    marginal = np.minimum(steps.alone * c.prefill_s + (1 - steps.alone) * beside, prefill)
    # what makes bursts is whole batches more, not one request more
    marginal = prefill - (prefill - marginal) / max(arrival_cv, 1.0) ** 2

    window = steps.in_pause * steps.pause + (1 - steps.in_pause) * steps.busy
    others = window + 2 * companions(arrival_cv, window / 2)
    given = others / np.maximum(1 - steps.alone, bounds.LEAST_CHANCE)
    ragged = others * -np.expm1((1 - room) / np.maximum(given, TINY))  # batches of geometric size
    shared = ragged + (np.minimum(others, room - 1) - ragged) / max(arrival_cv, 1.0) ** 2

    # the busier, the fuller the steps; where one has room for several they are full or nothing waits
    tight = np.clip(2 - room, 0.0, 1.0)
    lone = tight * np.clip(1 - lam * c.queue_s, 0.0, 1.0)
    service = lone * steps.busy / lam / together + (1 - lone) * c.queue_s
    load = lam * service
    paused = np.minimum(
        steps.in_pause, tight * np.clip(1 - load, bounds.LEAST_CHANCE, 1.0) + (1 - tight)
    )
    overflow, overflow_s = _left_behind(c, room, load, service, arrival_cv)
    own = c.over_nodes(c.own_s, c.nodes.prompt_weight) + cost.of(shared)
    calm = steps.pause + 2 * companions(arrival_cv, steps.pause / 2)
    seen = np.minimum(overflow / np.maximum(1 - paused, TINY), 1.0)
    busy_wait, busy_variance, spilled = _busy_wait(
        c, cost, lam, room, steps, seen, overflow_s, arrival_cv
    )
    return PrefillSharing(
        prefill_s=prefill,
        marginal_s=marginal,
        in_pause=paused,
        beside_s=cost.of(np.minimum(calm, room - 1)),
        busy_wait_s=busy_wait,
        busy_variance_s2=busy_variance,
        spilled_variance_s2=spilled,
        joined=window / 2 * shared / others,
        later=lam * (own + overflow * overflow_s) + (others - shared) / 2,
        load=load,
        overflow=overflow,
        overflow_s=overflow_s,
    )


def _steps(c: CurveRows, cost: _StepCost, lam: Floats, room: Floats, arrival_cv: float) -> _Steps:
    """Iterate (4) by Newton's method."""
    pause = np.maximum(lam * np.where(c.state > 0, c.decode_s, 0.0), NO_TIME)
    beside_decode = 0.0 if c.scheduler is Scheduler.PREFILL_FIRST else pause
    fresh_pause = gap_within(arrival_cv, pause) / pause
    together = np.clip(pause + lam * c.prefill_s, 1.0, room)
    in_pause = np.ones_like(together)
    for _ in range(SHARING_STEPS):
        busy = np.maximum(lam * together * cost.each(together) + beside_decode, TINY)
        before = gap_within(arrival_cv, busy)
        opens = in_pause * (gap_within(arrival_cv, pause + busy) - before) / pause
        opens = opens + (1 - in_pause) * (gap_within(arrival_cv, 2 * busy) - before) / busy
        in_pause = np.minimum(opens / fresh_pause, 1.0)
        fresh_busy = before / busy
        expected = 1 / (in_pause * fresh_pause + (1 - in_pause) * fresh_busy)
        newton = 1 - np.minimum((1 - in_pause) * lam * cost.beside(together), bounds.MOST_SLOPE)
        together = np.clip(together + (expected - together) / newton, 1.0, room)
    alone = in_pause * fresh_pause**2 + (1 - in_pause) * fresh_busy**2
    alone = np.where(room > 1, alone, 1.0)
    return _Steps(pause, busy, together, in_pause, alone)


def _busy_wait(
    c: CurveRows,
    cost: _StepCost,
    lam: Floats,
    room: Floats,
    steps: _Steps,
    left: Floats,
    left_s: Floats,
    arrival_cv: float,
) -> tuple[Floats, Floats, Floats]:
    """Mean and variance of the wait of a prompt that comes in a step with prompts [s, s^2].

    The rest of that step, longer when more or longer prompts are in it; full steps, with the chance
    ``left`` and the mean ``left_s``; and what those add that came in the same step and share the next.
    The third is the part of the variance of prompts that the own step has no room for: what is between 0 and
    m, and c in the mean, has a variance of c (m - c) at most (Bhatia and Davis 2000).
    """
    together = steps.together
    prompts_s = together * cost.each(together)
    again = np.minimum(lam * prompts_s / together, bounds.MOST_AGAIN)
    share = (lam * prompts_s / steps.busy) ** 2
    many = (together - 1) / together**2 / (1 - again**2)
    uneven = ((c.prefill_spread - 1) / together + many) * share
    rest = steps.busy / lam / 2 * (1 + uneven)
    biased = uneven / (1 + uneven)
    heavy = (c.nodes.rest_spread - _gamma_rest(c.prefill_spread - 1)) / together * share
    rest_variance = rest**2 * (_gamma_rest(uneven) + np.maximum(heavy, 0.0))
    mates = 2 * lam * rest
    mates = np.minimum(mates + 2 * companions(arrival_cv, mates / 2), room - 1)
    company = cost.of(mates)
    each = company / np.maximum(mates, TINY)
    full = left * left_s
    company_variance = each**2 * mates * (arrival_cv**2 + mates * biased)
    together_s2 = 2 * company * rest * biased
    within = np.minimum(company_variance, company * np.maximum(cost.of(room - 1) - company, 0.0))
    bound = within + np.minimum(together_s2, 2 * np.sqrt(within * rest_variance))
    variance = (
        rest_variance
        + company_variance
        + together_s2
        + full**2 * (2 / np.maximum(left, bounds.LEAST_CHANCE) - 1)
    )
    return rest + company + full, variance, company_variance + together_s2 - bound


def _gamma_rest(uneven: Floats | float) -> Floats:
    """Squared CV of the rest of a gamma variable with that squared CV, uniform within it."""
    return np.asarray(1 / 3 + 4 / 3 * uneven / (1 + uneven))


def _left_behind(
    c: CurveRows, room: Floats, load: Floats, service_s: Floats, arrival_cv: float
) -> tuple[Floats, Floats]:
    """Chance that full steps leave a prompt behind, and the mean wait of those [s].

    With room for one prompt a step it is what GI/G/1 queues wait beyond the prompt in service.
    """
    rho = np.minimum(load, bounds.MOST_RHO)
    spread = arrival_cv**2 + c.prefill_spread - 1
    more = max(arrival_cv**2 - 1, 0.0) / np.maximum(spread, TINY) / room
    chance = rho ** (1 + (room - 1) / np.maximum(spread, 1.0)) * (rho + more * (1 - rho))
    return chance, np.maximum(spread / 2 / (1 - rho) * service_s, TINY)


def prefills_met(
    c: CurveRows,
    sharing: PrefillSharing,
    lam: Floats,
    decode_s: Floats,
    steps: Floats,
    arrival_cv: float,
) -> Floats:
    """Prefills in or between the ``steps`` decode steps of a request, by (rate ``lam``, state, steps).

    ``decode_s``: of a step without prompts. Where prompts go first, whatever arrives is prefilled before
    decode continues, and so is what arrives meanwhile; where they go beside, a step has the prompts that
    arrived in the step before, ``n' = lambda (D + delta n)``. The last step's arrivals meet nobody.
    """
    rate = lam[:, :, None]
    prefill = sharing.prefill_s[:, :, None]
    load = np.minimum(rate * prefill, bounds.MOST_LOAD)
    joined, later = sharing.joined[:, :, None], sharing.later[:, :, None]
    settled = echo(c, load, steps)
    if c.scheduler is Scheduler.PREFILL_FIRST:
        plain = rate * decode_s * np.maximum(steps - 1, 0.0) * settled
    else:
        plain = rate * decode_s / (1 - load) * (steps - settled)
    hits = plain + later * settled
    if arrival_cv <= 1:
        return np.asarray(hits)
    first = hits
    soon = companions(arrival_cv, joined)
    for _ in range(2):
        stay = joined + later + rate * (decode_s * np.maximum(steps - 1, 0.0) + hits * prefill)
        hits = first + (companions(arrival_cv, stay) - soon) * settled
    return np.asarray(hits)


def echo(c: CurveRows, load: Floats, steps: Floats) -> Floats:
    """Prefills that one more brings about within ``steps`` decode steps, itself included.

    load: share of the time that prefills take.
    """
    if c.scheduler is Scheduler.PREFILL_FIRST:
        return np.broadcast_to(1 / (1 - load), np.broadcast_shapes(load.shape, steps.shape))
    # a power that 1 does not lose anything by is not worked out: powers that underflow take ten times as long
    least = np.exp(LOG_OF_NOTHING / steps)
    return np.asarray((1 - np.maximum(load, least) ** steps) / (1 - load))
