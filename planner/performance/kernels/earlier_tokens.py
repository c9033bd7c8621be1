"""What a chunk of a prompt takes more in one layer for the tokens before it, over CHUNKS and EARLIER [s].

Of a sparse module it was measured. Of latent attention it is what the pairs with earlier tokens take in
its attention kernel; within a window a token attends to no more than the window.
"""

from __future__ import annotations

import numpy as np

from planner.performance.kernels.grids import Floats
from planner.performance.kernels.prompts import CHUNKS, EARLIER, PROMPTS

_NEW, _BEFORE = CHUNKS[:, None], EARLIER[None, :]


def of_pairs(seconds: Floats) -> Floats:
    """Of full attention that takes ``seconds`` over PROMPTS: as a prompt with as many pairs."""
    alone = np.broadcast_to(_NEW, (len(CHUNKS), len(EARLIER)))
    found = _at(seconds, np.sqrt(_NEW**2 + 2.0 * _NEW * _BEFORE)) - _at(seconds, alone)
    more: Floats = np.maximum(found, 0.0)
    return more


def of_window(seconds: Floats, window: int) -> Floats:
    """Of attention within a window that takes ``seconds`` over PROMPTS: by pairs within the window."""
    rate = seconds[-1] / float(_within(PROMPTS[-1:], np.zeros(1), window)[0])
    none = np.zeros_like(_BEFORE)
    more: Floats = rate * (_within(_NEW, _BEFORE, window) - _within(_NEW, none, window))
    return more


def _within(new: Floats, before: Floats, window: int) -> Floats:
    """Pairs of ``new`` tokens after ``before`` others, each with at most ``window``."""
    filling = np.clip(window - before, 0.0, new)
    pairs: Floats = filling * before + filling**2 / 2.0 + (new - filling) * window
    return pairs


def _at(seconds: Floats, length: Floats) -> Floats:
    """``seconds`` over PROMPTS at a length, linear in both logarithms, and beyond as in the last interval."""
    x, y, wanted = np.log(PROMPTS), np.log(seconds), np.log(length)
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    found = np.interp(wanted, x, y) + slope * np.maximum(wanted - x[-1], 0.0)
    at: Floats = np.exp(found)
    return at
