"""What follows an arrival of a bursty process, in mean gaps: gamma gaps with a CV, Poisson up to CV 1.

``arrival_cv``: standard deviation over mean of the gaps, 1 for Poisson arrivals.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RENEWAL_SAMPLE = 40_000  # gaps: 0.5 % of Monte-Carlo error
SHORTEST, LONGEST = 1e-6, 30.0  # times tabled, in mean gaps, the longest by CV^2: no excess is left
GRID = 60  # times tabled between them, geometrically


def companions(arrival_cv: float, expected: Floats) -> Floats:
    """Arrivals soon after one arrival, beyond the ``expected`` number for their time (gamma process)."""
    if arrival_cv <= 1:
        return np.zeros_like(expected)
    grid, excess, _, _ = _renewals(round(arrival_cv, 3))
    return np.asarray(np.interp(expected, grid, excess))


def gap_within(arrival_cv: float, expected: Floats) -> Floats:
    """E[min(gap, time)] in mean gaps, where ``expected`` requests arrive in that time on average."""
    if arrival_cv <= 1:
        return -np.expm1(-expected)
    grid, _, within, _ = _renewals(round(arrival_cv, 3))
    return np.asarray(np.interp(expected, grid, within))


def gap_beyond(arrival_cv: float, expected: Floats) -> Floats:
    """P(no arrival) in the time after an arrival in which ``expected`` requests arrive on average."""
    if arrival_cv <= 1:
        return np.exp(-expected)
    grid, _, _, beyond = _renewals(round(arrival_cv, 3))
    return np.asarray(np.interp(expected, grid, beyond))


def gap_beyond_since(arrival_cv: float, elapsed: Floats, further: Floats) -> Floats:
    """P(gap > elapsed + further), given that it is longer than ``elapsed``; both in mean gaps.

    Beyond what is tabled the gap's end is taken as equally likely at any moment, at the rate that gamma
    gaps come to: 1 / CV^2.
    """
    gone = gap_beyond(arrival_cv, elapsed)
    both = gap_beyond(arrival_cv, elapsed + further)
    known = gone > 0
    at_last = np.exp(-further / max(arrival_cv, 1.0) ** 2)
    return np.where(known, both / np.where(known, gone, 1.0), at_last)


@lru_cache(maxsize=64)
def _renewals(arrival_cv: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Of gamma gaps of mean 1, from one fixed sample, by time: the renewal function less its argument,
    E[min(gap, time)] and P(gap > time).
    """
    rng = np.random.default_rng(0)
    shape = 1 / arrival_cv**2
    gaps = rng.gamma(shape, 1 / shape, RENEWAL_SAMPLE)
    gaps /= gaps.mean()
    times = np.cumsum(gaps)
    grid = np.concatenate([[0.0], np.geomspace(SHORTEST, LONGEST * arrival_cv**2, GRID)])
    starts = np.arange(RENEWAL_SAMPLE * 3 // 4)
    within = [np.searchsorted(times, times[starts] + x, side="right") - starts - 1 for x in grid]
    limit = (arrival_cv**2 - 1) / 2  # which it approaches from below
    excess = np.clip([float(w.mean()) for w in within] - grid, 0.0, limit)
    shorter = np.array([float(np.minimum(gaps, x).mean()) for x in grid])
    return grid, excess, shorter, np.array([float((gaps > x).mean()) for x in grid])
