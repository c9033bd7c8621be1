"""Percentiles of a replica's latencies at one rate, found in their distribution functions."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from planner.scenario.slo import Slo, class_of, class_target, metric_of
from planner.serving.closed_form.class_waits import of_class
from planner.serving.closed_form.latency_percentiles import LatencyPercentiles
from planner.serving.closed_form.rate_states import LATE
from planner.serving.closed_form.replica_curves import ReplicaCurves
from planner.serving.closed_form.steady_state import SteadyState, at_one_rate, steady_state

Floats = NDArray[np.float64]

REPORTED = (50.0, 99.0)
GRID = 32
WIDEST_S = 1e4


def latencies_at(
    curves: ReplicaCurves, qps: float, arrival_cv: float, slo: Slo
) -> LatencyPercentiles:
    """Percentiles [s] at one rate, those that are reported and those the targets name.

    ``qps``: requests of one replica [requests/s]. ``arrival_cv``: standard deviation over mean of the
    gaps between requests.
    """
    classes = curves.nodes.classes
    names = ("", *(classes.names if classes else ()))
    wanted: dict[str, set[float]] = {
        class_target(name, m): set(REPORTED) for name in names for m in ("ttft", "tpot", "e2e")
    }
    for target in slo.targets:
        metric = class_target(target.request_class, target.metric)
        wanted.setdefault(metric, set()).add(target.percentile)
    there = _OneRate(curves, qps, arrival_cv)

    def percentiles(metric: str, requested: Floats) -> tuple[float, ...]:
        found = there.percentiles(metric, tuple(requested.tolist()))
        if metric_of(metric) != "e2e":
            return found
        # no request ends before its first token
        own = class_target(class_of(metric), "ttft")
        first = there.percentiles(own, tuple(requested.tolist()))
        return tuple(max(pair) for pair in zip(found, first, strict=True))

    return LatencyPercentiles(wanted, percentiles)


class _OneRate:
    """One replica at one rate; its state is solved when a percentile is first read."""

    def __init__(self, curves: ReplicaCurves, qps: float, arrival_cv: float) -> None:
        self._curves, self._qps, self._cv = curves, qps, arrival_cv
        self.percentiles = cache(self._percentiles)
        self._copies = cache(self._copied)

    @cached_property
    def _state(self) -> SteadyState:
        return steady_state(self._curves, np.array([self._qps]), self._cv)

    def _copied(self, count: int) -> SteadyState:
        return at_one_rate(self._state, count)

    def _percentiles(self, metric: str, requested: tuple[float, ...]) -> tuple[float, ...]:
        """Percentiles of one latency [s], by three passes over its distribution function.

        ``WIDEST_S`` where it is not reached by then, as at a rate beyond what the replica can keep up with.
        """
        percentiles = np.array(requested)
        metric, name = metric_of(metric), class_of(metric)
        each = GRID // len(percentiles)
        copies = of_class(self._copies(each * len(percentiles)), name)

        def late(seconds: Floats) -> Floats:
            return np.asarray((copies.share * LATE[metric](copies, seconds)).sum(axis=1))

        grid = np.geomspace(float(self._curves.decode_s[0]) / 2, WIDEST_S, each * len(percentiles))
        tails = np.broadcast_to(late(grid), (len(percentiles), len(grid)))
        points = np.broadcast_to(grid, tails.shape)
        allowed = (1 - percentiles / 100)[:, None]
        rows = np.arange(len(percentiles))
        # no time is long enough where the queue grows without end
        ever = [bool((tails[row] <= allowed[row]).any()) for row in rows]
        nodes = copies.rows.nodes
        if metric == "tpot" and nodes.output[nodes.output_weight > 0].max() <= 1:
            return ()
        for _ in range(2):
            above = np.clip(np.argmax(tails <= allowed, axis=1), 1, points.shape[1] - 1)
            low, high = points[rows, above - 1], points[rows, above]
            points = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, each)
            tails = late(points.ravel()).reshape(points.shape)
        found = []
        for row in rows:
            value = np.interp(-allowed[row, 0], -tails[row], points[row])
            found.append(float(value) if ever[row] else WIDEST_S)
        return tuple(found)
