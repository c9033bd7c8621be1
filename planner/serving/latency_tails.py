"""Chances to miss a latency target, by request rate and batch (``steady_state``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.serving.steady_state import SteadyState, companions

Floats = NDArray[np.float64]

HEAVY_PROMPTS = 1.3  # E[p^2] / E[p]^2 from which the residual of one prompt is told apart
_UNIFORM_NODES = np.array([0.1127, 0.5, 0.8873])  # Gauss-Legendre on [0, 1]
_UNIFORM_WEIGHTS = np.array([5, 8, 5]) / 18
_NORMAL_NODES = np.array([-np.sqrt(3), 0.0, np.sqrt(3)])  # Gauss-Hermite for a standard normal
_NORMAL_WEIGHTS = np.array([1, 4, 1]) / 6
_TINY = 1e-12


def _by_rate(target_s: Floats | float) -> Floats:
    """A target, or one per rate, ready for (rate, state, node)."""
    return np.asarray(target_s, dtype=float).reshape(-1, 1, 1)


def late_first_tokens(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TTFT > target) by (rate, state); the target may be one per rate."""
    c = s.curves
    later = s.rate_qps[:, None] * (c.decode_s / 2 + s.queue_wait_s)
    later = (later + companions(s.arrival_cv, 2 * later)) * s.prefill_s
    shared = np.where(c.prompts_per_step > 1, np.minimum(later, c.full_step_s / 2), 0.0)
    own = c.own_s[None] + shared[:, :, None] + c.admission_s
    weight = c.nodes.prompt_weight
    return _late(s, _by_rate(target_s) - own, weight)


def late_ends(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(E2E > target) by (rate, state)."""
    c = s.curves
    free, met, variance = _mean_tpot(s)
    gaps = c.nodes.output - 1
    left = _by_rate(target_s) - c.own_at_output_s[None] - c.admission_s - (free + met) * gaps
    spread = np.sqrt(variance) * gaps
    out = np.zeros(s.share.shape)
    for away, weight in zip(_NORMAL_NODES, _NORMAL_WEIGHTS, strict=True):
        out += weight * _late(s, left - away * spread, c.nodes.output_weight)
    return out


def _late(s: SteadyState, left_s: Floats, weight: Floats) -> Floats:
    """P(wait + rest of the running step > left) by (rate, state), averaged over nodes."""
    c = s.curves
    rest = np.where(c.state > 0, c.decode_s, 0.0)[None, :, None]
    chance = np.minimum(s.busy, 1.0)[:, :, None]
    decay = chance / np.maximum(s.queue_wait_s, _TINY)[:, :, None]
    slot_decay = s.drain_qps[:, None]
    late = np.zeros(left_s.shape)
    heavy = c.nodes.prompt_second_moment > HEAVY_PROMPTS
    if heavy:
        one = (1 - s.load)[:, :, None]
        residual = c.residual_s[:, None]
        rest_mean = s.queue_wait_s / np.maximum(s.busy, 1e-3) - one[:, :, 0] * residual[:, 0]
        decay = np.maximum(1 - one, 1e-3) / np.maximum(rest_mean, _TINY)[:, :, None]
    for node, node_weight in zip(_UNIFORM_NODES, _UNIFORM_WEIGHTS, strict=True):
        left = left_s - node * rest
        positive = np.maximum(left, 0)
        over = np.exp(-positive * decay)
        if heavy:
            first = np.interp(positive / residual, c.nodes.residual, c.nodes.residual_tail)
            over = one * first + (1 - one) * over
        late += node_weight * np.where(left > 0, chance * over, 1.0)
    waits = s.waiting_share / np.maximum(s.share[:, -1], _TINY)
    left = left_s[:, -1]
    slot = np.where(left > 0, np.exp(-np.maximum(left, 0) * slot_decay), 1.0)
    waits = np.minimum(waits, 1.0)[:, None]
    late[:, -1] = 1 - (1 - late[:, -1]) * (1 - waits * slot)
    return np.asarray(late @ weight)


def _mean_tpot(s: SteadyState) -> tuple[Floats, Floats, Floats]:
    """Per (rate, state, output node): a token's undisturbed time, and mean and variance of what
    prefills add to it [s, s, s^2].

    The deviation of T(n + 1) from its mean shrinks by the averaging over the request's life, with n's
    correlation time = mean life x var(n) / mean(n). Prefills met in w seconds of decode form a busy
    period: mean w rho / (1 - rho), variance w lambda E[delta^2] / (1 - rho)^3.
    """
    c = s.curves
    beside = np.minimum(np.arange(len(c.state)) + 1, len(c.state) - 1)
    away = np.maximum(c.state[beside] - c.state, 1.0)
    seen = s.step_s + (s.step_s[:, beside] - s.step_s) / away
    mean = (s.share * seen).sum(axis=1)[:, None, None]
    n_mean = (s.share * c.state).sum(axis=1)
    n_var = (s.share * c.state**2).sum(axis=1) - n_mean**2
    memory = np.maximum(n_var / np.maximum(n_mean, _TINY), 0.2)[:, None] * c.steps_per_request
    steps = np.maximum((c.nodes.output - 1) / c.tokens_per_step, 1.0)
    x = steps / np.maximum(memory, _TINY)
    shrink = np.sqrt(2 * (x - 1 + np.exp(-x)) / x**2)[:, None, :]
    step = mean + (seen[:, :, None] - mean) * shrink
    lam = s.rate_qps[:, None]
    load = np.minimum(lam * s.prefill_s, 0.98)
    cv2 = s.arrival_cv**2
    swing = np.minimum(lam * s.marginal_s, 0.98)
    noise = lam * s.marginal_s**2 * (c.prefill_spread + cv2 - 1) / (1 - swing) ** 2
    own = c.own_s @ c.nodes.prompt_weight
    queued = s.queue_wait_s**2 * (2 / np.maximum(s.busy, 1e-3) - 1) / c.prompts_per_step**2
    queued = (lam * s.marginal_s) ** 2 * (queued + own**2 * (c.prefill_spread - 1))
    queued = (queued + s.behind_s * s.marginal_s * (c.prefill_spread + (cv2 - 1))) / (
        1 - swing
    ) ** 2
    undisturbed = 1 / (1 + s.behind_s / (np.maximum(c.steps_per_request, _TINY) * c.decode_s))
    decode = step * (undisturbed * (1 - load))[:, :, None]
    met = decode * (load / (1 - load))[:, :, None]
    met = met + (s.behind_s / (1 - load))[:, :, None] / steps
    variance = step * undisturbed[:, :, None] * np.maximum(noise, 0.0)[:, :, None] / steps
    variance = variance + np.maximum(queued, 0.0)[:, :, None] / steps**2
    per_token = c.tokens_per_step
    return decode / per_token, met / per_token, variance / per_token**2


def slow_answers(s: SteadyState, target_s: Floats | float) -> Floats:
    """P(TPOT > target) among requests with two tokens or more, by (rate, state)."""
    free, met, variance = _mean_tpot(s)
    several = s.curves.nodes.output > 1
    weight = s.curves.nodes.output_weight * several
    if weight.sum() == 0:
        return np.zeros(s.share.shape)
    c = s.curves
    hits = (s.rate_qps[:, None] * c.decode_s)[:, :, None] * (c.nodes.output - 1) / c.tokens_per_step
    target = _by_rate(target_s)
    late = compound_tail(target - free, met, variance, hits)
    late = np.where(target < c.longest_step_s[None, :, None] / c.tokens_per_step, late, 0.0)
    return np.asarray(late @ (weight / weight.sum()))


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


def compound_tail(x: Floats, mean: Floats, variance: Floats, hits: Floats) -> Floats:
    """P(X > x) of a sum over Poisson ``hits``: nothing with probability exp(-hits), else a gamma."""
    some = -np.expm1(-np.maximum(hits, 1e-9))
    given = mean / some
    spread = np.maximum((variance + mean**2) / some - given**2, 0.02 * given**2)
    return np.where(x < 0, 1.0, some * gamma_tail(x, given, spread))


def gamma_tail(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X > x) of a gamma variable (Wilson and Hilferty 1931: its cube root is nearly normal)."""
    shape = np.maximum(mean**2 / (variance + _TINY), 1e-3)
    scaled = np.cbrt(np.maximum(x, 0.0) / np.maximum(mean, _TINY))
    z = 3 * np.sqrt(shape) * (scaled - 1 + 1 / (9 * shape))
    return np.where(x <= 0, 1.0, normal_tail(z))


def normal_tail(z: Floats) -> Floats:
    """P(N(0, 1) > z), to 2e-4 (Bowling et al. 2009, logistic approximation)."""
    z = np.clip(z, -8, 8)
    return np.asarray(1 / (1 + np.exp(1.5976 * z + 0.07056 * z**3)))
