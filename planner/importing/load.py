"""A rate over time as a scenario states it: the mean, a profile by hour, and the peak within an hour."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HOUR_S, DAY, WEEK = 3600.0, 24, 168
MOST_PEAK = 100.0
BUSY = 0.5  # of the busiest hour's mean: hours from which a peak within an hour is read
MOST_WINDOWS = 10_000  # that one step may fill


@dataclass(frozen=True, slots=True)
class RateOverTime:
    """``mean_qps`` over all windows; ``hourly``: 24 or 168 means in UTC, empty where hours are missing.

    ``peak_ratio``: the highest window over the mean of its hour, of hours at least half as busy as the
    busiest: in a quiet one a few requests more are a high ratio. ``peak_qps``: the highest window's rate.
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
    busy = BUSY * max(map(statistics.fmean, by_hour.values()))
    ratios = [
        max(rates) / statistics.fmean(rates)
        for rates in by_hour.values()
        if window_s < HOUR_S and statistics.fmean(rates) >= busy
    ]
    return RateOverTime(
        mean_qps=statistics.fmean(hourly) if hourly else mean,
        hourly=hourly,
        peak_ratio=min(MOST_PEAK, max(ratios, default=1.0)),
        peak_qps=max(rate for _, rate in windows),
    )


def added_up(steps: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float], ...]:
    """Windows (start, requests/s) of the steps (from, to, rise) of several counters together.

    Windows are as long as most steps are. A step over several of them, where a series was not scraped for
    a while, counts in each by its share of the time; so do those of servers scraped at other moments.
    """
    if not steps:
        return ()
    window_s = statistics.median_low([end - start for start, end, _ in steps])
    begin = min(start for start, _, _ in steps)
    rises: dict[int, float] = defaultdict(float)
    for start, end, rise in steps:
        first, last = (round((at - begin) / window_s, 6) for at in (start, end))
        if last - first > MOST_WINDOWS:
            continue
        for number in range(int(first), max(int(first) + 1, math.ceil(last))):
            part = min(last, number + 1) - max(first, number)
            rises[number] += rise * part / (last - first)
    return tuple((begin + n * window_s, rises[n] / window_s) for n in sorted(rises))


def _profile(windows: Sequence[tuple[float, float]], hours: int) -> tuple[float, ...]:
    """The mean of each hour of a day or of a week from Monday; empty where one has no window."""
    found: dict[int, list[float]] = defaultdict(list)
    for start, rate in windows:
        at = datetime.fromtimestamp(start, UTC)
        found[(at.weekday() * DAY + at.hour) % hours].append(rate)
    if len(found) < hours:
        return ()
    return tuple(statistics.fmean(found[hour]) for hour in range(hours))
