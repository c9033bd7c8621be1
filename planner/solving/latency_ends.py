"""Latencies of the chosen fleet with its steps as quick and as slow as they may be.

An error of the model is one factor on every step time. So the same load is predicted again with the steps
at either end of their interval, in the way the plan's own percentiles were: simulated with the same
requests where the plan was, else by the closed form. A queue that a tenth more time makes twice as long
shows twice as long, and where the load does not fit at the slow end there is no upper end.

TTFT is known less well than a step: what its own interval is wider by comes on top, of TTFT and of the
end-to-end time that contains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.fleet.candidates.derating import Derating, ends
from planner.scenario.schema import Service
from planner.scenario.slo import class_of, class_target, metric_of
from planner.serving.closed_form.percentiles_at_rate import WIDEST_S
from planner.serving.placed import Placed
from planner.serving.split_arrivals import replica_cv
from planner.solving.operating import at_load
from planner.solving.request_streams import Stream, streams_of
from planner.solving.stages import FleetAtLoad, LatencyEnds
from planner.workload.lengths import JointLengths

if TYPE_CHECKING:
    from planner.serving.simulation.service_simulation import Simulate, SimulatedService

LEVEL = 0.8
Percentiles = Mapping[str, float]
BothEnds = tuple[Derating, Derating]


def with_ends(fleet: FleetAtLoad, simulate: Simulate | None, seed: int) -> FleetAtLoad:
    """The fleet with both ends of every percentile that is predicted; batch jobs have none.

    ``simulate``: what simulated the fleet, None where it is predicted by the closed form.
    """
    operating = dict(fleet.operating)
    for stream in streams_of(fleet.decided):
        if stream.service.job is not None:
            continue
        off = {key: _off(placed) for key, placed in stream.placed.items()}
        found = (
            _predicted(stream, off) if simulate is None else _played(stream, off, simulate, seed)
        )
        for key, (low_s, high_s) in found:
            quick, slow = off[key]
            steps, ttft = (quick.steps, slow.steps), (quick.ttft, slow.ttft)
            known = LatencyEnds(LEVEL, steps, ttft, low_s, high_s)
            operating[key] = replace(operating[key], ends=known)
    return replace(fleet, operating=operating)


def _off(placed: Placed) -> BothEnds:
    return ends(placed.steps, LEVEL, placed.prefill.steps if placed.prefill else None)


def _predicted(
    stream: Stream, off: Mapping[str, BothEnds]
) -> Iterator[tuple[str, tuple[Percentiles, Percentiles | None]]]:
    """Each kind of replica by the closed form at either end."""
    for key, placed in stream.placed.items():
        quick, slow = off[key]
        low = at_load(quick.slowed_replicas(placed), stream.service, stream.lengths).latency_s
        slower = slow.slowed_replicas(placed)
        high = None
        if _keeps_up(slower, stream.service, stream.lengths):
            high = at_load(slower, stream.service, stream.lengths).latency_s
        yield key, _with_ttft(stream, (low, high), off[key])


def _played(
    stream: Stream, off: Mapping[str, BothEnds], simulate: Simulate, seed: int
) -> Iterator[tuple[str, tuple[Percentiles, Percentiles | None]]]:
    """All kinds of replicas of a stream, simulated together at either end."""

    def played(side: int) -> Percentiles | None:
        replicas = [off[key][side].slowed_replicas(p) for key, p in stream.placed.items()]
        if side and not all(_keeps_up(p, stream.service, stream.lengths) for p in replicas):
            return None
        check = simulate(stream.service, replicas, lengths=stream.lengths, seed=seed)
        if check.overloaded or (side and still_growing(check)):
            return None
        return {name: estimate.value_s for name, estimate in check.percentiles.items()}

    quick, slow = played(0) or {}, played(1)
    for key in stream.placed:
        yield key, _with_ttft(stream, (quick, slow), off[key])


def still_growing(check: SimulatedService) -> bool:
    """Whether requests wait longer for their first token than a whole stay was to last.

    The window is some stays long, as the closed form predicts them. A median wait beyond one says that the
    queue grew all along (caches that lose their histories do that), and how long it got is the window's.
    """
    median = check.percentiles.get("ttft_p50")
    if median is None or check.prompts_per_call > 1:
        return False
    return median.value_s > check.window.tail_s


def _keeps_up(placed: Placed, service: Service, lengths: JointLengths) -> bool:
    rate, share = placed.rate_qps / placed.replicas, service.assumptions.prefix_hit_share
    return placed.keeps_up(lengths, rate, replica_cv(service, rate), share)


def _with_ttft(
    stream: Stream, found: tuple[Percentiles, Percentiles | None], off: BothEnds
) -> tuple[Percentiles, Percentiles | None]:
    """Both ends with what TTFT may be off by beyond the steps; percentiles without a bound are left out.

    A pooled prompt is done as a first token would be, and known as well as that.
    """
    generates = stream.lengths.generates

    def moved(latency_s: Percentiles, factor: float) -> Percentiles:
        moved_s = {}
        for key, seconds in latency_s.items():
            if not (math.isfinite(seconds) and seconds < WIDEST_S):
                continue
            metric = metric_of(key)
            if metric == "ttft" or not generates:
                seconds *= factor
            elif metric == "e2e":
                median = class_target(class_of(key), "ttft_p50")
                seconds += (factor - 1) * latency_s.get(median, 0.0)
            moved_s[key] = seconds
        return moved_s

    low, high = found
    return moved(low, off[0].ttft), None if high is None else moved(high, off[1].ttft)
