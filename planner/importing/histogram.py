"""Cumulative histograms as Prometheus keeps them: quantiles, and a scenario's length points."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

BEYOND = 2.0  # the open bucket is taken to end at this multiple of the last bound
MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts`` at or below each of ``bounds`` (the last is infinite), the sum and number of all."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float

    @property
    def number(self) -> float:
        """How many observations."""
        return self.counts[-1]

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.total / self.number

    @property
    def bounded(self) -> bool:
        """Whether any bucket has an end, so that more than the mean is known."""
        return len(self.bounds) > 1

    @property
    def beyond(self) -> float:
        """The share above the last finite bound, of which nothing more is known."""
        below = self.counts[-2] if len(self.counts) > 1 else 0.0
        return 1 - below / self.number

    def quantile(self, probability: float) -> float | None:
        """The value at ``probability``, linear within its bucket; None where that bucket is open."""
        wanted = probability * self.number
        lower, below = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= wanted and count > below:
                if math.isinf(bound):
                    return None
                return lower + (bound - lower) * (wanted - below) / (count - below)
            lower, below = bound, count
        return None

    def length_points(self) -> dict[float, float]:
        """Probability to tokens, with the histogram's own mean as far as its bounds allow it.

        Each bucket gets its bounds and a point in its middle, at the same fraction of the width in
        every bucket: the one at which the mean of the linear pieces is ``total / number``. The open
        bucket is taken to end at ``BEYOND`` times the last bound.
        """
        buckets = self._buckets()
        at_zero = sum(p * lower for p, lower, _ in buckets)
        width = sum(p * (upper - lower) for p, lower, upper in buckets)
        fraction = MIDDLE
        if width > 0:  # mean of two linear pieces: lower + width * (1 + 2 f) / 4
            fraction = min(1.0, max(0.0, (4 * (self.mean - at_zero) / width - 1) / 2))
        points = {0.0: max(1.0, buckets[0][1])}
        done = 0.0
        for share, lower, upper in buckets:
            points[round(done + share / 2, 6)] = max(1.0, lower + fraction * (upper - lower))
            done += share
            points[round(done, 6)] = max(1.0, upper)
        points[1.0] = points.pop(max(points))
        return _rising(points)

    def _buckets(self) -> list[tuple[float, float, float]]:
        """(share, lower, upper) of every bucket that holds something."""
        found = []
        edges = [0.0, *self.bounds]
        below = [0.0, *self.counts]
        for (lower, upper), (before, after) in zip(
            itertools.pairwise(edges), itertools.pairwise(below), strict=True
        ):
            end = max(BEYOND * lower, 1.0) if math.isinf(upper) else upper
            if after > before:
                found.append(((after - before) / self.number, lower, end))
        return found


def histogram(buckets: dict[float, float], total: float) -> Histogram | None:
    """A histogram of counts at or below each bound; None where it holds nothing."""
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]):
        return None
    counts, most = [], 0.0
    for bound in bounds:
        most = max(most, buckets[bound])
        counts.append(most)
    return Histogram(tuple(bounds), tuple(counts), max(total, 0.0)) if most > 0 else None


def _rising(points: dict[float, float]) -> dict[float, float]:
    least, rising = 0.0, {}
    for probability, tokens in sorted(points.items()):
        least = max(least, round(tokens, 1))
        rising[probability] = least
    return rising
