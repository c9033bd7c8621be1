"""Measured ladders as curves: made to rise, and read between and beyond their rungs."""

from __future__ import annotations

import numpy as np

from planner.performance.kernels.components import TOKENS
from planner.performance.kernels.grids import Floats

NS = 1e-9


def rising(curves: Floats) -> Floats:
    """Measured ladders made to rise: more tokens never take less time.

    curves: seconds, or their logarithms, one curve a row.
    """
    found: Floats = np.maximum.accumulate(curves, axis=1)
    return found


def on_tokens(ladder: Floats, logs: Floats) -> Floats:
    """Seconds over TOKENS, as ``on_log``.

    ladder: tokens that ``logs`` were measured at; logs: logarithms of seconds, one curve a row.
    """
    return on_log(ladder, logs, TOKENS)


def on_log(ladder: Floats, logs: Floats, at: Floats) -> Floats:
    """Seconds at ``at``: linear in both logarithms, in proportion beyond the ladder.

    logs: logarithms of seconds, one curve a row.
    """
    x = np.log(at)
    found = np.interp(x, np.log(ladder), logs) + np.maximum(x - np.log(ladder[-1]), 0.0)
    seconds: Floats = NS * np.exp(found)
    return seconds
