"""The highest request rate one replica holds within its targets, and what happens there.

``arrival_cv``: standard deviation over mean of the gaps between requests; ``prefix_hit_share``: share of each
prompt's tokens that the prefix cache holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deployment import Deployment
from planner.performance.steps import StepModel
from planner.scenario.slo import Metric, Slo, Target
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form import rate_states
from planner.serving.closed_form.conversation_load import (
    agreed_load,
    hit_share,
    settled,
    unbounded,
)
from planner.serving.closed_form.percentiles_at_rate import latencies_at
from planner.serving.closed_form.rate_states import (
    LADDER,
    WHOLE,
    RatePlace,
    RateStates,
    solve_rates_together,
    solve_together,
)
from planner.serving.closed_form.replica_curves import ReplicaCurves, replica_curves
from planner.serving.closed_form.steady_state import SteadyState, steady_state
from planner.serving.closed_form.target_margins import ladder_margins, margins_at, worst_margin
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.sizing.layout import MemoryLayout
from planner.units import exact
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

SATURATED = 0.95  # of the ceiling: no looser target gains more than the rest
FEW_WAIT = 0.02  # of the slots
SLOT_SHARE = 0.5  # of the requests that may be late: more of them wait for a batch slot
FROM_ARRIVAL: tuple[Metric, ...] = ("ttft", "e2e")  # latencies that hold the wait for a batch slot
HALF_FULL = 0.5  # of the slots: below it they are not what a saturated replica lacks
_EXCESS = (-0.9, 9.0)  # late over allowed share minus 1, as far as it is interpolated


@dataclass(frozen=True, slots=True)
class Capacity:
    """The operating point at the highest stable rate [requests/s] at which every target holds.

    concurrency: requests in flight (Little's law); kv_used_share and utilisation in [0, 1];
    ``latency_s``: predicted seconds by key such as ``ttft_p50``, ``ttft_p99``, ``tpot_p50``,
    ``tpot_p99``, ``e2e_p99``; ``limited_by``: what stops a higher rate. A target ("ttft_p99"), when a looser
    one would give more; THROUGHPUT, when the rate is within 5 % of what the replica can finish at all;
    KV_POOL or BATCH_SLOTS, when that limit of the batch is the reason. A replica that cannot meet a
    target at any rate has ``qps`` 0 and ``reason`` set.
    prefix_hits: share of the prompt tokens that its cache holds, of a load that repeats itself.
    pool_wait_share: of requests that wait for room in the KV pool.
    """

    qps: float
    concurrency: float
    kv_used_share: float
    utilisation: float
    latency_s: Mapping[str, float]
    limited_by: LimitedBy
    reason: str | None = None
    tpot_mean_s: float = 0.0
    prefix_hits: float = 0.0
    pool_wait_share: float = 0.0


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
    if (none := too_long(limits, lengths)) is not None:
        return none
    if lengths.reuse is not None:
        return _agreed(steps, limits, lengths, slo, arrival_cv)
    return capacity_from(RateStates(steps, limits, lengths, arrival_cv, prefix_hit_share), slo)


def _agreed(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, slo: Slo, arrival_cv: float
) -> Capacity:
    """The capacity with the prefix-cache hits of that very rate (``conversation_load``)."""
    found: dict[int, Capacity] = {}

    def held(load: JointLengths) -> tuple[float, float]:
        capacity = capacity_from(RateStates(steps, limits, load, arrival_cv), slo)
        found[id(load)] = capacity
        return capacity.qps, capacity.concurrency

    load, qps = agreed_load(steps, limits, lengths, held)
    capacity = found[id(load)]
    return replace(capacity, qps=min(qps, capacity.qps), prefix_hits=hit_share(load))


def too_long(limits: ReplicaLimits, lengths: JointLengths) -> Capacity | None:
    """No capacity at all, where one request of maximum length does not fit the KV pool."""
    longest = limits.sequence_bytes(lengths.max_total)
    if longest > limits.kv_pool_bytes:
        return _none(
            CapacityLimit.KV_POOL,
            f"one request of {lengths.max_total} tokens needs {longest / 1e9:.2f} GB of KV cache, "
            f"the pool has {limits.kv_pool_bytes / 1e9:.2f} GB",
        )
    return None


def solve_ahead(wanted: Sequence[tuple[RateStates, Slo]]) -> None:
    """Solve together what ``capacity_from`` will read of each of these replicas."""
    solve_together([(states, WHOLE, _single(slo)) for states, slo in wanted])
    inside = [(states, first_failing(states, slo), slo) for states, slo in wanted]
    solve_together(
        [(s, at - 1, _single(slo)) for s, at, slo in inside if at is not None and at > 0]
    )
    places = [(states, _place_of(states, slo)) for states, slo in wanted]
    solve_rates_together(
        [(states, at.qps) for states, at in places if at is not None and at.around is None]
    )


def _single(slo: Slo) -> Sequence[Target]:
    """The targets that are judged one by one; none where goodput joins them."""
    return slo.targets if slo.goodput is None else ()


def first_failing(states: RateStates, slo: Slo) -> int | None:
    """The first rate of the ladder at which something fails; None where all hold."""
    worst = worst_margin(ladder_margins(states, slo))
    fails = np.flatnonzero(worst > 0)
    return int(fails[0]) if len(fails) else None


def capacity_from(states: RateStates, slo: Slo) -> Capacity:
    """The highest rate at which every target holds, read from states that are known already."""
    place = _place_of(states, slo)
    if place is None:
        return _under_the_floor(states.curves, slo, ladder_margins(states, slo))
    around = place.around or states.at_rate(place.qps)
    return _at(around, slo, place.qps, place.limited_by, states.ceiling)


def _place_of(states: RateStates, slo: Slo) -> RatePlace | None:
    """``_found_place``, found once where it is read twice under the same targets."""
    if states.placed is None or states.placed[0] is not slo:
        states.placed = slo, _found_place(states, slo)
    return states.placed[1]


def _found_place(states: RateStates, slo: Slo) -> RatePlace | None:
    """Where the highest rate lies at which every target holds; None where none does."""
    curves, ceiling, bound = states.curves, states.ceiling, states.bound
    rates = states.rates
    margins = ladder_margins(states, slo)
    worst = worst_margin(margins)
    if worst[0] > 0:
        return None
    fails = np.flatnonzero(worst > 0)
    if not len(fails):
        return RatePlace(_kept_up(float(rates[-1]), states, slo), bound, None)
    interval = int(fails[0]) - 1
    around = states.between(interval)
    fine = around.rate_qps
    margins = margins_at(states, slo, interval)
    worst = worst_margin(margins)
    worst[0], worst[-1] = min(worst[0], -1e-9), max(worst[-1], 1e-9)
    i = int(np.flatnonzero(worst > 0)[0])
    below, above = np.log1p(np.clip(worst[i - 1 : i + 1], _EXCESS[0], _EXCESS[1]))
    qps = float(fine[i - 1] + (fine[i] - fine[i - 1]) * below / (below - above))
    key = max(margins, key=lambda k: float(margins[k][i]))
    if key is CapacityLimit.STABLE or qps > SATURATED * ceiling:
        key = bound
    kept_up = _kept_up(qps, states, slo)
    if kept_up < qps or not around.stable[i] or around.waiting[i] > FEW_WAIT * curves.slots:
        return RatePlace(kept_up, key, None)  # too steep to read between
    return RatePlace(qps, key, around)


def _kept_up(qps: float, states: RateStates, slo: Slo) -> float:
    """What a replica without targets finishes of ``qps`` where its pool is always full [requests/s].

    Targets keep a replica below that; there the little that is computed again is left out.
    """
    return qps if slo.targets else 1 / (1 / qps + states.again_s)


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
    limits = replica_limits(deployment, memory)

    def in_flight(load: JointLengths) -> float:
        return _point(steps, limits, load, slo, rate_qps, arrival_cv, 0.0).concurrency

    load = settled(steps, limits, lengths, rate_qps, in_flight)
    point = _point(steps, limits, load, slo, rate_qps, arrival_cv, prefix_hit_share)
    return replace(point, prefix_hits=hit_share(load))


def _point(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    slo: Slo,
    rate_qps: float,
    arrival_cv: float,
    prefix_hit_share: float,
) -> Capacity:
    curves = replica_curves(steps, limits, lengths, prefix_hit_share)
    ceiling, bound = rate_states.ceiling_of(curves)
    rate = min(rate_qps, ceiling * float(LADDER[-1]))
    return _at(steady_state(curves, np.array([rate]), arrival_cv), slo, rate, bound, ceiling)


def ceiling_qps(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, prefix_hit_share: float = 0.0
) -> float:
    """The rate beyond which a replica's queue grows without end, targets or not [requests/s].

    Of a load that repeats itself, with a cache that forgets nothing.
    """
    lengths = unbounded(limits, lengths)
    return rate_states.ceiling_of(replica_curves(steps, limits, lengths, prefix_hit_share))[0]


def lasts_at(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    rate_qps: float,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> bool:
    """Whether a replica keeps up with ``rate_qps`` [requests/s], whatever its latency."""

    def in_flight(load: JointLengths) -> float:
        own = replica_curves(steps, limits, load, prefix_hit_share)
        rate = min(rate_qps, rate_states.ceiling_of(own)[0] * float(LADDER[-1]))
        state = steady_state(own, np.array([rate]), arrival_cv)
        return float((state.share * own.state).sum() + state.waiting[0])

    lengths = settled(steps, limits, lengths, rate_qps, in_flight)
    curves = replica_curves(steps, limits, lengths, prefix_hit_share)
    if rate_qps >= rate_states.ceiling_of(curves)[0]:
        return False
    return bool(steady_state(curves, np.array([rate_qps]), arrival_cv).stable[0])


def ceiling_of(curves: ReplicaCurves) -> float:
    """As ``ceiling_qps``, from curves that are known already."""
    return rate_states.ceiling_of(curves)[0]


def _at(s: SteadyState, slo: Slo, qps: float, limited_by: LimitedBy, ceiling: float) -> Capacity:
    """The operating point at ``qps``, read between the rates of ``s``."""
    c = s.curves

    def at(values: Floats) -> float:
        return float(np.interp(qps, s.rate_qps, values))

    target = next((t for t in slo.targets if t.key == limited_by), None)
    allowed = 1 - target.percentile / 100 if target and target.metric in FROM_ARRIVAL else 1.0
    if allowed < 1 and at(s.waiting_share) > SLOT_SHARE * allowed:
        limited_by = c.slot_bound
    batch = at((s.share * np.minimum(c.state, c.slots)).sum(axis=1))
    if limited_by == c.slot_bound and max(batch / c.slots, at(s.waiting_share)) < HALF_FULL:
        limited_by = CapacityLimit.THROUGHPUT
    own = c.own_s @ c.nodes.prompt_weight
    prefill = at((s.share * (own + s.sharing.wait_s)).sum(axis=1))
    return Capacity(
        qps=qps,
        concurrency=batch + at(s.waiting) + qps * prefill,
        kv_used_share=min(1.0, batch * c.kv_bytes_per_request / c.kv_pool_bytes),
        utilisation=min(1.0, qps / ceiling),
        latency_s=latencies_at(c, qps, s.arrival_cv, slo),
        limited_by=limited_by,
        tpot_mean_s=at((s.share * s.step_s).sum(axis=1)) / c.tokens_per_step,
        pool_wait_share=at(s.waiting_share) if c.slot_bound == CapacityLimit.KV_POOL else 0.0,
    )


def _under_the_floor(curves: ReplicaCurves, slo: Slo, margins: dict[LimitedBy, Floats]) -> Capacity:
    """Name the target that even an idle replica misses, with what it needs."""
    key = max(margins, key=lambda k: float(margins[k][0]))
    needs = {t.key: _idle_s(curves, t) for t in slo.targets}
    target = next((t for t in slo.targets if t.key == key), None)
    missed = [t for t in slo.targets if needs[t.key] > t.seconds]
    if (
        target is not None and missed
    ):  # by far too late is as late as late: the ratio tells them apart
        target = max(missed, key=lambda t: needs[t.key] / t.seconds)
        key = target.key
    if target is None:
        text = ", ".join(f"{t.key} {exact(t.seconds)}" for t in slo.targets)
        return _none(key, f"an idle replica does not meet {text} often enough")
    need = needs[target.key]
    why = "is under" if target.seconds < need else "leaves no room above"
    return _none(
        key,
        f"{key} of {exact(target.seconds)} {why} the {exact(need)} that a replica without any other "
        "request is predicted to need",
        {key: need},
    )


def _idle_s(c: ReplicaCurves, target: Target) -> float:
    """What an idle replica needs for the requests that a target is of [s]."""
    nodes = c.nodes
    if nodes.classes is not None and target.request_class:
        nodes = nodes.of_class(nodes.classes.number(target.request_class))
    mine = nodes.prompt_weight > 0
    own, weight = c.own_s[0][mine], nodes.prompt_weight[mine]
    at = int(np.searchsorted(np.cumsum(weight), 0.99))
    longest = float(nodes.output[nodes.output_weight > 0].max())
    needs: dict[Metric, float] = {
        "ttft": float(own[min(at, len(own) - 1)]) + c.admission_s,
        "tpot": float(c.decode_s[0]) / c.tokens_per_step,
        "itl": float(c.decode_s[0]),
        "e2e": float(own.max() + c.decode_s[0] * (longest - 1) / c.tokens_per_step),
    }
    return needs[target.metric]


def _none(
    limited_by: LimitedBy, reason: str, at_idle_s: dict[str, float] | None = None
) -> Capacity:
    return Capacity(0.0, 0.0, 0.0, 0.0, at_idle_s or {}, limited_by, reason=reason)
