"""A disaggregated unit at a rate: its two pools' states, its percentiles, and how busy it is.

``arrival_cv``: standard deviation over mean of the gaps between requests; ``prefix_hit_share``: share of each
prompt's tokens that the prefix cache holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from planner.deployment import Deployment
from planner.performance.steps import StepModel
from planner.scenario.slo import Slo
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form.capacity import Capacity, ceiling_qps
from planner.serving.closed_form.latency_percentiles import LatencyPercentiles
from planner.serving.closed_form.latency_tails import late_ends, late_first_tokens, slow_answers
from planner.serving.closed_form.pool_capacity import (
    DecodeTails,
    PrefillTails,
    Transfer,
    decode_ceiling_qps,
    decode_curves,
    decode_tails,
    in_decode,
    link_wait_s,
    prefill_curves,
    prefill_tails,
    prompts_alone,
    unit_qps,
)
from planner.serving.closed_form.steady_state import SteadyState, at_one_rate, steady_state
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.serving.pools import Prefill, decode_limits
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

REPORTED = (50.0, 99.0)
CLOSEST = 0.99  # of the ceiling: a point beyond it has no steady state
SAMPLES = 200
GRID = 64
WIDEST_S = 1e4
_LATE = {"ttft": late_first_tokens, "tpot": slow_answers, "e2e": late_ends}


@dataclass(frozen=True, slots=True)
class Unit:
    """What one disaggregated unit is made of, as the closed form takes it."""

    prefill_steps: StepModel
    prefill: ReplicaLimits
    replicas: int
    decode_steps: StepModel
    decode: ReplicaLimits
    decode_replicas: int
    gb_s: float
    latency_s: float

    @property
    def transfer(self) -> Transfer:
        """The KV link between its pools."""
        return Transfer(self.prefill, self.decode, self.gb_s, self.latency_s)


def unit_of(
    prefill: Prefill,
    deployment: Deployment,
    memory: MemoryLayout,
    steps: StepModel,
    prefill_steps: StepModel | None = None,
) -> Unit:
    """The unit of a prefill side and a decode deployment; ``prefill_steps`` instead of its own."""
    return Unit(
        prefill_steps or prefill.steps,
        replica_limits(prefill.deployment, prefill.memory),
        prefill.replicas,
        steps,
        decode_limits(deployment, memory),
        prefill.decode_replicas,
        prefill.link.gb_s,
        prefill.link.latency_s,
    )


def unit_capacity(
    unit: Unit,
    lengths: JointLengths,
    slo: Slo,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
) -> Capacity:
    """The highest rate of one unit at which every target holds, and what happens there."""
    mine = prefill_tails(
        unit.prefill_steps, unit.prefill, lengths, slo, unit.transfer, arrival_cv, prefix_hit_share
    )
    theirs = decode_tails(unit.decode_steps, unit.decode, lengths, slo, arrival_cv)
    qps, bound = unit_qps(mine, theirs, slo, unit.replicas, unit.decode_replicas)
    least = min(
        unit.replicas * float(mine.rate_qps[0]), unit.decode_replicas * float(theirs.rate_qps[0])
    )
    point = unit_point(unit, lengths, slo, qps or least, arrival_cv, prefix_hit_share, bound)
    if qps > 0:
        return point
    return Capacity(0.0, 0.0, 0.0, 0.0, point.latency_s, bound, reason=f"misses {bound} when idle")


def unit_ceiling_qps(unit: Unit, lengths: JointLengths, prefix_hit_share: float = 0.0) -> float:
    """The rate beyond which one of the pools' queues grows without end [requests/s]."""
    prompts = prompts_alone(lengths)
    mine = ceiling_qps(unit.prefill_steps, unit.prefill, prompts, prefix_hit_share)
    theirs = decode_ceiling_qps(unit.decode_steps, unit.decode, lengths)
    sent = unit.transfer.link(lengths).mean_s / unit.prefill.ranks
    return min(unit.replicas * min(mine, 1 / max(sent, 1e-12)), unit.decode_replicas * theirs)


def unit_point(
    unit: Unit,
    lengths: JointLengths,
    slo: Slo,
    rate_qps: float,
    arrival_cv: float = 1.0,
    prefix_hit_share: float = 0.0,
    limited_by: LimitedBy = CapacityLimit.NOT_SOUGHT,
) -> Capacity:
    """What one unit does at ``rate_qps`` [requests/s]; ``latency_s`` is worked out when requested."""
    ceiling = unit_ceiling_qps(unit, lengths, prefix_hit_share)
    rate = min(rate_qps, CLOSEST * ceiling)
    each, every = rate / unit.replicas, rate / unit.decode_replicas
    curves = prefill_curves(
        unit.prefill_steps, unit.prefill, lengths, unit.transfer, prefix_hit_share
    )
    mine = steady_state(curves, np.array([each]), arrival_cv)
    answers = decode_curves(unit.decode_steps, unit.decode, lengths)
    theirs = steady_state(answers, np.array([every]), arrival_cv)
    link = unit.transfer.link(lengths)
    wait = float(link_wait_s(link, np.array([each]), unit.prefill.ranks)[0])
    own = float(mine.curves.own_s[0] @ mine.curves.nodes.prompt_weight)
    queued = float((mine.share[0] * mine.sharing.wait_s[0]).sum())
    in_flight, kv_used, tpot = in_decode(theirs)
    return Capacity(
        qps=rate_qps,
        concurrency=rate * (own + queued + wait) + unit.decode_replicas * float(in_flight[0]),
        kv_used_share=float(kv_used[0]),
        utilisation=min(1.0, rate_qps / ceiling),
        latency_s=_latencies(mine, theirs, wait, slo),
        limited_by=limited_by,
        tpot_mean_s=float(tpot[0]),
    )


def tabled_point(
    prefill: PrefillTails,
    decode: DecodeTails,
    unit: Unit,
    rate_qps: float,
    limited_by: LimitedBy,
    latency_s: Callable[[], Mapping[str, float]],
) -> Capacity:
    """As ``unit_point``, read off the pools' tables; ``latency_s`` is asked when somebody looks.

    rate_qps: of the unit [requests/s].
    """
    mine, theirs = rate_qps / unit.replicas, rate_qps / unit.decode_replicas

    def at(table: Floats) -> float:
        return float(np.interp(theirs, decode.rate_qps, table))

    stay = float(np.interp(mine, prefill.rate_qps, prefill.stay_s))
    stay += float(link_wait_s(prefill.link, np.array([mine]), prefill.ranks)[0])
    busy = max(mine / prefill.ceiling_qps, theirs / decode.ceiling_qps)
    return Capacity(
        qps=rate_qps,
        concurrency=rate_qps * stay + unit.decode_replicas * at(decode.in_flight),
        kv_used_share=at(decode.kv_used),
        utilisation=min(1.0, busy),
        latency_s=Deferred(latency_s),
        limited_by=limited_by,
        tpot_mean_s=at(decode.tpot_s),
    )


class Deferred(Mapping[str, float]):
    """A mapping that is made when it is first read."""

    def __init__(self, made: Callable[[], Mapping[str, float]]) -> None:
        self._made = cache(made)

    def __getitem__(self, key: str) -> float:
        return self._made()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


def _latencies(
    prefill: SteadyState, decode: SteadyState, wait_s: float, slo: Slo
) -> LatencyPercentiles:
    """Percentiles [s] of a unit: of TPOT its decode pool's, of the rest both pools' and the wait."""
    wanted: dict[str, set[float]] = {m: set(REPORTED) for m in _LATE}
    for target in slo.targets:
        if target.metric in _LATE:
            wanted[target.metric].add(target.percentile)
    if decode.curves.nodes.output.max() <= 1:
        del wanted["tpot"]

    def percentiles(metric: str, requested: Floats) -> list[float]:
        found = _spread(decode, metric)
        if metric != "tpot":
            before = _spread(prefill, "ttft") + wait_s
            found = (before[:, None] + found[None, :]).ravel()
        return [float(value) for value in np.quantile(found, requested / 100)]

    return LatencyPercentiles(wanted, percentiles)


def _spread(state: SteadyState, metric: str) -> Floats:
    """Equally likely values of a latency [s], from its distribution function, in two passes."""
    copies = at_one_rate(state, GRID)
    low, high = float(state.curves.decode_s[0]) / 4, WIDEST_S
    wanted = (np.arange(SAMPLES) + 0.5) / SAMPLES
    for _ in range(2):
        times = np.geomspace(low, high, GRID)
        late = (copies.share * _LATE[metric](copies, times)).sum(axis=1)
        met = 1 - np.minimum.accumulate(late)
        low = times[max(int(np.argmax(met > wanted[0])) - 1, 0)]
        reached = met >= wanted[-1]
        high = times[int(np.argmax(reached))] if reached.any() else WIDEST_S
        high = max(high, low * 1.01)
    return np.asarray(np.interp(wanted, met, times))
