"""A rate over time as a scenario states it: the mean, a profile by hour, and the peak within an hour."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HOUR_S, DAY, WEEK = 3600.0, 24, 168
MOST_PEAK = 100.0


@dataclass(frozen=True, slots=True)
class RateOverTime:
    """``mean_qps`` over all windows; ``hourly``: 24 or 168 means in UTC, empty where hours are missing.

    ``peak_ratio``: the highest window over the mean of its hour; ``peak_qps``: that window's rate.
    """

    mean_qps: float
    hourly: tuple[float, ...]
    peak_ratio: float
    peak_qps: float


def rate_over_time(windows: Sequence[tuple[float, float]]) -> RateOverTime | None:
    """The rate of windows (start [s since 1970], requests/s) that follow each other."""
    if not windows:
        return None
    mean = statistics.fmean(rate for _, rate in windows)
    if mean <= 0:
        return None
    window_s = statistics.median(
        [b - a for (a, _), (b, _) in itertools.pairwise(windows)] or [HOUR_S]
    )
    hourly = _profile(windows, WEEK) or _profile(windows, DAY)
    by_hour: dict[int, list[float]] = defaultdict(list)
    for start, rate in windows:
        by_hour[int(start // HOUR_S)].append(rate)
    ratios = [
        max(rates) / statistics.fmean(rates)
        for rates in by_hour.values()
        if window_s < HOUR_S and statistics.fmean(rates) > 0
    ]
    return RateOverTime(
        mean_qps=statistics.fmean(hourly) if hourly else mean,
        hourly=hourly,
        peak_ratio=min(MOST_PEAK, max(ratios, default=1.0)),
        peak_qps=max(rate for _, rate in windows),
    )


def _profile(windows: Sequence[tuple[float, float]], hours: int) -> tuple[float, ...]:
    """The mean of each hour of a day or of a week from Monday; empty where one has no window."""
    found: dict[int, list[float]] = defaultdict(list)
    for start, rate in windows:
        at = datetime.fromtimestamp(start, UTC)
        found[(at.weekday() * DAY + at.hour) % hours].append(rate)
    if len(found) < hours:
        return ()
    return tuple(statistics.fmean(found[hour]) for hour in range(hours))
