"""The highest request rate one replica holds within its targets, and what happens there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deployment import Deployment
from planner.performance.steps import StepModel
from planner.scenario import Slo, Target
from planner.serving.latency_percentiles import LatencyPercentiles
from planner.serving.latency_tails import late_ends, late_first_tokens, long_gaps, slow_answers
from planner.serving.lengths import JointLengths
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.serving.replica_curves import ReplicaCurves, replica_curves
from planner.serving.steady_state import SteadyState, at_one_rate, steady_state
from planner.sizing.layout import MemoryLayout

Floats = NDArray[np.float64]

_LATE = {
    "ttft": late_first_tokens,
    "tpot": slow_answers,
    "itl": long_gaps,
    "e2e": late_ends,
}
_REPORTED = (50.0, 99.0)
_GRID = 32
_WIDEST_S = 1e4
SATURATED = 0.95  # of the ceiling: no looser target gains more than the rest
FEW_WAIT = 0.02  # of the slots
SLOT_SHARE = 0.5  # of the requests that may be late: more of them wait for a batch slot
HALF_FULL = 0.5  # of the slots: below it they are not what a saturated replica lacks
_LADDER = np.array([1e-3, 0.05, 0.2, 0.35, 0.5, 0.62, 0.74, 0.85, 0.94, 0.995])
_FINE = 8
_EXCESS = (-0.9, 9.0)  # late over allowed share minus 1, as far as it is interpolated


@dataclass(frozen=True, slots=True)
class Capacity:
    """The operating point at the highest stable rate [requests/s] at which every target holds.

    concurrency: requests in flight (Little's law); kv_used_share and utilisation in [0, 1];
    ``latency_s``: predicted seconds by key such as ``ttft_p50``, ``ttft_p99``, ``tpot_p50``,
    ``tpot_p99``, ``e2e_p99``; ``limited_by``: what stops a higher rate. A target ("ttft_p99"), when a looser
    one would give more; "throughput", when the rate is within 5 % of what the replica can finish at all;
    "kv pool" or "max_num_seqs", when that limit of the batch is the reason. ``method``: "closed-form" or
    "simulated". A replica that cannot meet a target at any rate has ``qps`` 0 and ``reason`` set.
    """

    qps: float
    concurrency: float
    kv_used_share: float
    utilisation: float
    latency_s: Mapping[str, float]
    limited_by: str
    method: str = "closed-form"
    reason: str | None = None
    tpot_mean_s: float = 0.0


def replica_capacity(
    steps: StepModel,
    memory: MemoryLayout,
    deployment: Deployment,
    lengths: JointLengths,
    slo: Slo,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> Capacity:
    """Return the capacity of one replica by the closed form (``steady_state``).

    ``arrival_cv``: CV of the interarrival times one replica sees; ``prefix_hit_share``: share of the
    prompt tokens that need no prefill. One request of maximum length must fit the KV pool.
    """
    return capacity_within(
        steps, replica_limits(deployment, memory), lengths, slo, arrival_cv, prefix_hit_share
    )


def capacity_within(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    slo: Slo,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> Capacity:
    """As ``replica_capacity``, from the scheduler's limits."""
    longest = limits.sequence_bytes(lengths.max_total)
    if longest > limits.kv_pool_bytes:
        return _none(
            "kv pool",
            f"one request of {lengths.max_total} tokens needs {longest / 1e9:.2f} GB of KV cache, "
            f"the pool has {limits.kv_pool_bytes / 1e9:.2f} GB",
        )
    curves = replica_curves(steps, limits, lengths, prefix_hit_share)
    ceiling, bound = _ceiling(curves)
    rates = ceiling * _LADDER
    margins = _margins(steady_state(curves, rates, arrival_cv), slo)
    worst = np.max(np.stack(list(margins.values())), axis=0)
    if worst[0] > 0:
        return _under_the_floor(curves, slo, margins)
    fails = np.flatnonzero(worst > 0)
    if not len(fails):
        last = steady_state(curves, rates[-1:], arrival_cv)
        return _at(last, slo, float(rates[-1]), bound, ceiling)
    low, high = rates[fails[0] - 1], rates[fails[0]]
    fine = np.linspace(low, high, _FINE)
    around = steady_state(curves, fine, arrival_cv)
    margins = _margins(around, slo)
    worst = np.max(np.stack(list(margins.values())), axis=0)
    worst[0], worst[-1] = min(worst[0], -1e-9), max(worst[-1], 1e-9)
    i = int(np.flatnonzero(worst > 0)[0])
    below, above = np.log1p(np.clip(worst[i - 1 : i + 1], _EXCESS[0], _EXCESS[1]))
    qps = float(fine[i - 1] + (fine[i] - fine[i - 1]) * below / (below - above))
    key = max(margins, key=lambda k: float(margins[k][i]))
    if key == "stable" or qps > SATURATED * ceiling:
        key = bound
    if not around.stable[i] or around.waiting[i] > FEW_WAIT * curves.slots:
        around = steady_state(curves, np.array([qps]), arrival_cv)  # too steep to read between
    return _at(around, slo, qps, key, ceiling)


def operating_point(
    steps: StepModel,
    memory: MemoryLayout,
    deployment: Deployment,
    lengths: JointLengths,
    slo: Slo,
    rate_qps: float,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> Capacity:
    """What one replica does at ``rate_qps`` [requests/s], a rate within its capacity.

    The result's ``qps`` is that rate; ``limited_by`` names what would stop a much higher one.
    """
    curves = replica_curves(steps, replica_limits(deployment, memory), lengths, prefix_hit_share)
    ceiling, bound = _ceiling(curves)
    rate = min(rate_qps, ceiling * float(_LADDER[-1]))
    return _at(steady_state(curves, np.array([rate]), arrival_cv), slo, rate, bound, ceiling)


def ceiling_qps(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, prefix_hit_share: float = 0.0
) -> float:
    """The rate beyond which a replica's queue grows without end, targets or not [requests/s]."""
    return _ceiling(replica_curves(steps, limits, lengths, prefix_hit_share))[0]


def ceiling_of(curves: ReplicaCurves) -> float:
    """As ``ceiling_qps``, from curves that are known already."""
    return _ceiling(curves)[0]


def _ceiling(c: ReplicaCurves) -> tuple[float, str]:
    """The rate at which some resource is used up [requests/s], and which."""
    state = np.maximum(c.state, 1.0)
    steps = max(c.steps_per_request, 1e-12)
    # batch n sustains lambda: lambda * steps * D / (1 - lambda delta) = n
    sustained = state / (steps * c.decode_s + state * c.prefill_shared_s)
    prefill = 1 / np.maximum(c.queue_s, 1e-12)
    reach = np.minimum(sustained, prefill)
    best = int(np.argmax(reach))
    if best < len(state) - 1 or prefill[best] <= sustained[best]:
        return float(reach[best]), "throughput"
    gain = sustained[-1] / sustained[max(len(state) - 2, 0)]
    growth = state[-1] / state[max(len(state) - 2, 0)]
    if growth > 1 and np.log(gain) < 0.05 * np.log(growth):
        return float(reach[best]), "throughput"
    return float(reach[best]), c.slot_bound


def _margins(s: SteadyState, slo: Slo) -> dict[str, Floats]:
    """How far each requirement is from failing, by rate: late share over allowed share, minus 1."""
    out = {"stable": np.where(s.stable, -1.0, 1e6)}
    late = {t.key: np.minimum(_LATE[t.metric](s, t.seconds), _cap(t)) for t in slo.targets}
    if slo.goodput is not None:
        met = np.ones(s.share.shape)
        for part in late.values():
            met = met * (1 - np.minimum(part, 1.0))
        out["goodput"] = (1 - (s.share * met).sum(axis=1)) / (1 - slo.goodput) - 1
        return out
    for target in slo.targets:
        share = (s.share * late[target.key]).sum(axis=1)
        out[target.key] = share / (1 - target.percentile / 100) - 1
    return out


def _cap(target: Target) -> float:
    """Gaps are weighted by the tokens of a state, so their share there may exceed 1."""
    return float("inf") if target.metric == "itl" else 1.0


def _at(s: SteadyState, slo: Slo, qps: float, limited_by: str, ceiling: float) -> Capacity:
    """The operating point at ``qps``, read between the rates of ``s``."""
    c = s.curves

    def at(values: Floats) -> float:
        return float(np.interp(qps, s.rate_qps, values))

    if limited_by.startswith(("ttft", "e2e")):
        allowed = next((1 - t.percentile / 100 for t in slo.targets if t.key == limited_by), 1.0)
        if at(s.waiting_share) > SLOT_SHARE * allowed:
            limited_by = c.slot_bound
    batch = at((s.share * np.minimum(c.state, c.slots)).sum(axis=1))
    if limited_by == c.slot_bound and max(batch / c.slots, at(s.waiting_share)) < HALF_FULL:
        limited_by = "throughput"
    own = c.own_s @ c.nodes.prompt_weight
    prefill = at((s.share * (own + s.sharing.wait_s)).sum(axis=1))
    return Capacity(
        qps=qps,
        concurrency=batch + at(s.waiting) + qps * prefill,
        kv_used_share=min(1.0, batch * c.kv_bytes_per_request / c.kv_pool_bytes),
        utilisation=min(1.0, qps / ceiling),
        latency_s=_latencies(c, qps, s.arrival_cv, slo),
        limited_by=limited_by,
        tpot_mean_s=at((s.share * s.step_s).sum(axis=1)) / c.tokens_per_step,
    )


def _latencies(
    curves: ReplicaCurves, qps: float, arrival_cv: float, slo: Slo
) -> LatencyPercentiles:
    """Percentiles [s] at one rate, those that are reported and those the targets name."""
    wanted: dict[str, set[float]] = {m: set(_REPORTED) for m in ("ttft", "tpot", "e2e")}
    for target in slo.targets:
        wanted.setdefault(target.metric, set()).add(target.percentile)

    def percentiles(metric: str, asked: Floats) -> list[float]:
        state = steady_state(curves, np.array([qps]), arrival_cv)
        found = _percentiles(state, metric, asked)
        if metric != "e2e":
            return found
        first = _percentiles(state, "ttft", asked)  # no request ends before its first token
        return [max(pair) for pair in zip(found, first, strict=True)]

    return LatencyPercentiles(wanted, percentiles)


def _percentiles(s: SteadyState, metric: str, percentiles: Floats) -> list[float]:
    """Percentiles of one latency [s], by three passes over its distribution function."""
    each = _GRID // len(percentiles)
    copies = at_one_rate(s, each * len(percentiles))

    def late(seconds: Floats) -> Floats:
        return np.asarray((copies.share * _LATE[metric](copies, seconds)).sum(axis=1))

    grid = np.geomspace(float(s.curves.decode_s[0]) / 2, _WIDEST_S, each * len(percentiles))
    tails = np.broadcast_to(late(grid), (len(percentiles), len(grid)))
    points = np.broadcast_to(grid, tails.shape)
    allowed = (1 - percentiles / 100)[:, None]
    rows = np.arange(len(percentiles))
    if metric == "tpot" and s.curves.nodes.output.max() <= 1:
        return []
    for _ in range(2):
        above = np.clip(np.argmax(tails <= allowed, axis=1), 1, points.shape[1] - 1)
        low, high = points[rows, above - 1], points[rows, above]
        points = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, each)
        tails = late(points.ravel()).reshape(points.shape)
    found = []
    for row in rows:
        value = np.interp(-allowed[row, 0], -tails[row], points[row])
        found.append(float(value))
    return found


def _under_the_floor(curves: ReplicaCurves, slo: Slo, margins: dict[str, Floats]) -> Capacity:
    """Name the target that even an idle replica misses, with what it needs."""
    key = max(margins, key=lambda k: float(margins[k][0]))
    c = curves
    own = c.own_s[0]
    at = int(np.searchsorted(np.cumsum(c.nodes.prompt_weight), 0.99))
    needs = {
        "ttft": float(own[min(at, len(own) - 1)]) + c.admission_s,
        "tpot": float(c.decode_s[0]) / c.tokens_per_step,
        "itl": float(c.decode_s[0]),
        "e2e": float(own.max() + c.decode_s[0] * (c.nodes.output.max() - 1) / c.tokens_per_step),
    }
    target = next((t for t in slo.targets if t.key == key), None)
    if target is None:
        text = ", ".join(f"{t.key} {t.seconds:g} s" for t in slo.targets)
        return _none(key, f"an idle replica does not meet {text} often enough")
    need = needs[target.metric]
    why = "is under" if target.seconds < need else "leaves no room above"
    return _none(
        key,
        f"{key} of {target.seconds:.3g} s {why} the {need:.3g} s that a replica without any other "
        "request needs",
        {key: need},
    )


def _none(limited_by: str, reason: str, at_idle_s: dict[str, float] | None = None) -> Capacity:
    return Capacity(0.0, 0.0, 0.0, 0.0, at_idle_s or {}, limited_by, reason=reason)
