"""Chances to miss a latency target, by request rate and batch (``steady_state``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.serving.closed_form import bounds
from planner.serving.closed_form.arrival_gaps import gap_beyond_since
from planner.serving.closed_form.bounds import TINY
from planner.serving.closed_form.prefill_sharing import echo, prefills_met
from planner.serving.closed_form.steady_state import SteadyState
from planner.serving.curve_rows import CurveRows

Floats = NDArray[np.float64]

_NORMAL_NODES = np.array([-np.sqrt(3), 0.0, np.sqrt(3)])  # Gauss-Hermite for a standard normal
_NORMAL_WEIGHTS = np.array([1, 4, 1]) / 6
FEW_ANSWERS = 2  # nodes whose times are kept for other targets, 10 kB each


def _by_rate(target_s: Floats | float) -> Floats:
    """A target, or one per rate, ready for (rate, state, node)."""
    return np.asarray(target_s, dtype=float).reshape(-1, 1, 1)


def late_first_tokens(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TTFT > target) by (rate, state); the target may be one per rate.

    target_s: of TTFT [s].
    """
    c = s.rows
    left = _by_rate(target_s) - c.own_s - c.admission_s[:, :, None]
    return _late(s, left, c.nodes.prompt_weight)


def late_ends(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(E2E > target) by (rate, state).

    target_s: of the end-to-end latency [s].
    """
    c = s.rows
    free, met, variance = _mean_tpot(s, c.nodes.output)
    gaps = c.nodes.output - 1
    left = _by_rate(target_s) - c.own_at_output_s - c.admission_s[:, :, None]
    left = left - (free + met) * gaps
    spread = np.sqrt(variance) * gaps
    out = np.zeros(s.share.shape)
    for away, weight in zip(_NORMAL_NODES, _NORMAL_WEIGHTS, strict=True):
        out += weight * _late(s, left - away * spread, c.nodes.output_weight)
    return out


def _late(s: SteadyState, left_s: Floats, weight: Floats) -> Floats:
    """P(wait until the own step, and what others add to it, > left) by (rate, state), over nodes."""
    c, sharing = s.rows, s.sharing
    idle = np.where(c.state > 0, c.decode_s, 0.0)[:, :, None]
    left = left_s - sharing.beside_s[:, :, None]
    calm = np.clip(1 - left / np.maximum(idle, TINY), 0.0, 1.0)
    mean, variance = sharing.busy_wait_s, sharing.busy_variance_s2
    busy = gamma_tail(left_s, mean[:, :, None], variance[:, :, None])
    pause = sharing.in_pause[:, :, None]
    late = pause * calm + (1 - pause) * busy
    slot_decay = s.drain_qps[:, None]
    waits = s.waiting_share / np.maximum(s.share[:, -1], TINY)
    left = left_s[:, -1]
    slot = np.where(left > 0, np.exp(-np.maximum(left, 0) * slot_decay), 1.0)
    waits = np.minimum(waits, 1.0)[:, None]
    c.at_end(late, 1 - (1 - late[:, -1]) * (1 - waits * slot))
    return c.over_nodes(late, weight)


def _mean_tpot(s: SteadyState, output: Floats) -> tuple[Floats, Floats, Floats]:
    """Per (rate, state, ``output`` length): a token's undisturbed time, and mean and variance of what
    prefills add to it [s, s, s^2].

    The deviation of T(n + 1) from its mean shrinks by the averaging over the request's life, with n's
    correlation time = mean life x var(n) / mean(n). Prefills met in w seconds of decode form a busy
    period: mean w rho / (1 - rho), variance w lambda E[delta^2] / (1 - rho)^3.
    """
    c = s.rows
    states = c.state.shape[1]
    beside = np.minimum(np.arange(states) + 1, states - 1)
    away = np.maximum(c.state[:, beside] - c.state, 1.0)
    n_mean = c.added(s.share * c.state)
    n_var = c.added(s.share * c.state**2) - n_mean**2
    more = np.maximum(n_var / np.maximum(n_mean, TINY), 1.0)[:, None]  # seen by those in flight
    seen = s.step_s + (s.step_s[:, beside] - s.step_s) / away * more
    mean = c.added(s.share * seen)[:, None, None]
    memory = (
        np.maximum(n_var / np.maximum(n_mean, TINY), bounds.LEAST_SPREAD)[:, None]
        * c.steps_per_request
    )
    steps = np.maximum((output - 1) / c.tokens_per_step, 1.0)
    x = steps / np.maximum(memory, TINY)
    shrink = np.sqrt(2 * (x - 1 + np.exp(-x)) / x**2)[:, None, :]
    step = mean + (seen[:, :, None] - mean) * (shrink * _stretch(c, n_mean, n_var))
    lam = s.rate_qps[:, None]
    load = np.minimum(lam * s.sharing.prefill_s, bounds.MOST_LOAD)
    cv2 = s.arrival_cv**2
    swing = np.minimum(lam * s.sharing.marginal_s, bounds.MOST_LOAD)
    own = c.over_nodes(c.own_s, c.nodes.prompt_weight)
    # the last token waits for nobody: arrivals count until the step before it begins
    counted = np.maximum(steps - 1, 0.0) / steps
    decode = step * (c.decode_s / s.step_s)[:, :, None]
    hits = prefills_met(c, s.sharing, lam, decode, steps, s.arrival_cv)
    met = hits * s.sharing.prefill_s[:, :, None] / steps
    behind = hits * (1 - load)[:, :, None] - lam[:, :, None] * decode * counted * steps
    uneven = (c.prefill_spread + cv2 - 1)[:, :, None]
    waits = s.sharing.left_behind_s**2 * (
        2 / np.maximum(s.sharing.overflow, bounds.LEAST_CHANCE) - 1
    )
    queued = (lam**2 * (waits + own**2 * (c.prefill_spread - 1)))[:, :, None] + behind * uneven
    each = (s.sharing.marginal_s[:, :, None] * echo(c, swing[:, :, None], steps)) ** 2 / steps
    arrived = (lam / (1 - load))[:, :, None] * decode * counted * uneven
    variance = each * np.maximum(arrived + queued / steps, 0.0)
    per_token = c.tokens_per_step
    return decode / per_token, met / per_token, variance / per_token**2


def _stretch(c: CurveRows, n_mean: Floats, n_var: Floats) -> Floats:
    """How much more a decode step varies than by the batch alone, because contexts differ, by rate.

    The tokens of n requests have the variance of n (1 + CV^2) equal ones; only reading them counts.
    """
    each = len(c.state) // c.replicas
    means = n_mean.reshape(c.replicas, -1)
    found = []
    for rows, states in c.runs:
        of_run = slice(rows.start, rows.stop, each)
        state, reads = c.state[of_run, :states], _reads(c, of_run, states)
        first = (rows.start or 0) // each
        many = zip(means[first : first + len(state)], state, reads, strict=True)
        found += [np.interp(mean, own, read) for mean, own, read in many]
    share = np.concatenate(found)
    spread = np.maximum(n_var / np.maximum(n_mean, TINY), bounds.LEAST_SPREAD)
    more: Floats = np.sqrt(1 + share**2 * c.nodes.context_spread / spread)
    return more[:, None, None]


def _reads(c: CurveRows, rows: slice, states: int) -> Floats:
    """Which part of a request more in a decode step goes into reading its context, by (row, state)."""
    state = c.state[rows, :states]
    slope = _gradient(c.decode_s[rows, :states], state) * np.maximum(state, 1.0)
    return np.asarray(np.clip(c.context_s[rows, :states] / np.maximum(slope, TINY), 0.0, 1.0))


def _gradient(values: Floats, at: Floats) -> Floats:
    """``numpy.gradient`` of each row, to the last bit: it takes one row at a time."""
    gaps = np.diff(at, axis=1)
    rises = np.diff(values, axis=1)
    before, after = gaps[:, :-1], gaps[:, 1:]
    left = -after / (before * (before + after))
    middle = (after - before) / (before * after)
    right = before / (after * (before + after))
    out = np.empty_like(values)
    uneven = left * values[:, :-2] + middle * values[:, 1:-1] + right * values[:, 2:]
    even = (values[:, 2:] - values[:, :-2]) / (2.0 * gaps[:, :1])
    out[:, 1:-1] = np.where((gaps == gaps[:, :1]).all(axis=1, keepdims=True), even, uneven)
    out[:, 0] = rises[:, 0] / gaps[:, 0]
    out[:, -1] = rises[:, -1] / gaps[:, -1]
    return out


def slow_answers(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TPOT > target) among requests with two tokens or more, by (rate, state).

    target_s: of TPOT [s].
    """
    c = s.rows
    several = c.nodes.answer > 1
    if not several.any():
        return np.zeros(s.share.shape)
    answer, weight = c.nodes.answer[several], c.nodes.answer_weight[several]
    times = s.answer_times[0] if s.answer_times else _answer_times(s, answer)
    if len(answer) <= FEW_ANSWERS and not s.answer_times:
        s.answer_times.append(times)
    free, met, variance, none, skewness = times
    target = _by_rate(target_s)
    late = compound_tail(target - free, met, variance, none, skewness)
    late = np.where(target < c.longest_step_s[:, :, None] / c.tokens_per_step, late, 0.0)
    return c.over_nodes(late, weight / weight.sum())


def _answer_times(s: SteadyState, answer: Floats) -> tuple[Floats, ...]:
    """``_mean_tpot``, the chance to meet no prefill, and ``_skewness``, whatever the target."""
    c = s.rows
    free, met, variance = _mean_tpot(s, answer)
    steps = np.maximum((answer - 1) / c.tokens_per_step - 1, 0.0)
    hits = (s.rate_qps[:, None] * c.decode_s)[:, :, None] * steps
    joined = s.sharing.joined[:, :, None]
    none = gap_beyond_since(s.arrival_cv, joined, s.sharing.later[:, :, None] + hits)
    return free, met, variance, none, _skewness(s)


def long_gaps(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(gap between two tokens > target) by (rate, state), weighted by what decodes there.

    target_s: of the gap [s].
    """
    c = s.rows
    hit = 1 - np.exp(-s.rate_qps[:, None] * s.step_s)
    target = _by_rate(target_s)
    stalled = c.over_nodes((c.gap_s > target).astype(float), c.nodes.prompt_weight)
    gaps = hit * stalled + (1 - hit) * (c.decode_s > target[:, :, 0])
    weighted: Floats = gaps * c.state / np.maximum(c.added(s.share * c.state)[:, None], TINY)
    return weighted


def _skewness(s: SteadyState) -> Floats:
    """Skewness over CV of the prefills met while decoding, a delay busy period: (1 - rho) c3 / c2^2 + 3 rho.

    c_j = E[delta^j] / E[delta]^j (cumulants of the first passage of a compound Poisson process).
    """
    c = s.rows
    rho = np.minimum(s.rate_qps[:, None] * s.sharing.marginal_s, bounds.MOST_LOAD)[:, :, None]
    third, spread = c.prefill_third[:, :, None], c.prefill_spread[:, :, None]
    skew: Floats = (1 - rho) * third / spread**2 + 3 * rho
    return np.clip(skew, *bounds.SKEW)


def compound_tail(x: Floats, mean: Floats, variance: Floats, none: Floats, skew: Floats) -> Floats:
    """P(X > x) of a sum that is empty with probability ``none``, else a gamma variable with a shift.

    skew: skewness over CV, 2 for a gamma variable without a shift.
    mean, variance: of the sum; x in the unit of both.
    """
    some = np.maximum(1 - none, bounds.LEAST_SOME)
    given = mean / some
    spread = np.maximum((variance + mean**2) / some - given**2, bounds.LEAST_VARIANCE * given**2)
    shift = given * (1 - 2 / skew) * some
    return np.where(x < 0, 1.0, some * gamma_tail(x - shift, given - shift, spread))


def gamma_tail(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X > x) of a gamma variable (Wilson and Hilferty 1931: its cube root is nearly normal).

    mean, variance: of the variable; x in the unit of both.
    """
    shape = np.maximum(mean**2 / (variance + TINY), bounds.LEAST_SHAPE)
    scaled = np.cbrt(np.maximum(x, 0.0) / np.maximum(mean, TINY))
    z = 3 * np.sqrt(shape) * (scaled - 1 + 1 / (9 * shape))
    return np.where(x <= 0, 1.0, normal_tail(z))


def normal_tail(z: Floats) -> Floats:
    """P(N(0, 1) > z), to 2e-4 (Bowling et al. 2009, logistic approximation)."""
    z = np.clip(z, -bounds.FARTHEST_Z, bounds.FARTHEST_Z)
    first, third = bounds.NORMAL_TAIL
    return np.asarray(1 / (1 + np.exp(z * (first + third * z * z))))
