"""Seconds of a layer over the new tokens of a step and the tokens each attends to, from measured prompts.

Whole prompts were measured one, 4 and 16 together: as many new tokens that attend to fewer the more prompts
they belong to. What a chunk takes more for the tokens before it (``*_more``, over NEW and EARLIER) was
measured of sparse modules; of latent attention it is what the pairs with earlier tokens take in its
attention kernel, and within a window a token attends to no more than the window.
"""

from __future__ import annotations

import numpy as np

from planner.performance.kernels.grids import Floats
from planner.performance.kernels.prompts import ATTENDED, NEW, PROMPT_SEQUENCES, PROMPTS

EARLIER: Floats = np.array([512.0, 2048.0, 8192.0, 32768.0, 131072.0])
NO_MORE: Floats = np.zeros((len(NEW), len(EARLIER)))
_NEW, _BEFORE = NEW[:, None], EARLIER[None, :]


def over_attended(whole: Floats, more: Floats) -> Floats:
    """Seconds over NEW and ATTENDED.

    whole: of whole prompts over PROMPT_SEQUENCES and PROMPTS [s]. more: for tokens before a chunk [s].
    """
    alone = _along(whole[0], NEW)
    rows = []
    for i, new in enumerate(NEW):
        together = [
            (new / (2.0 * n), float(_along(line, np.array([new / n]))[0]))
            for n, line in zip(PROMPT_SEQUENCES[1:], whole[1:], strict=True)
            if new / n >= PROMPTS[0]
        ]
        points = [*reversed(together), (new / 2.0, alone[i])]
        points += [(new / 2.0 + c, alone[i] + more[i, j]) for j, c in enumerate(EARLIER)]
        at, seconds = np.array(points).T
        rising = np.log(np.maximum.accumulate(seconds))
        rows.append(np.exp(np.interp(np.log(ATTENDED), np.log(at), rising)))
    found: Floats = np.array(rows)
    return found


def pairs_more(seconds: Floats) -> Floats:
    """Of full attention that takes ``seconds`` over PROMPTS: as a prompt with as many pairs."""
    found = _along(seconds, np.sqrt(_NEW**2 + 2.0 * _NEW * _BEFORE)) - _along(seconds, _NEW)
    more: Floats = np.maximum(found, 0.0)
    return more


def window_more(seconds: Floats, window: int) -> Floats:
    """Of attention within a window that takes ``seconds`` over PROMPTS: by pairs within the window."""
    rate = seconds[-1] / float(_within(PROMPTS[-1:], np.zeros(1), window)[0])
    none = np.zeros_like(_BEFORE)
    more: Floats = rate * (_within(_NEW, _BEFORE, window) - _within(_NEW, none, window))
    return more


def measured_more(chunks: Floats, seconds: Floats) -> Floats:
    """What was measured over ``chunks`` and EARLIER, over NEW: in proportion beyond the longest.

    chunks: new tokens, rising. seconds: what each takes more, a row per chunk [s].
    """
    at = np.log(np.clip(NEW, chunks[0], chunks[-1]))
    lines = [np.interp(at, np.log(chunks), np.log(column)) for column in seconds.T]
    more: Floats = np.exp(np.array(lines).T) * np.maximum(NEW / chunks[-1], 1.0)[:, None]
    return more


def _within(new: Floats, before: Floats, window: int) -> Floats:
    """Pairs of ``new`` tokens after ``before`` others, each with at most ``window``."""
    filling = np.clip(window - before, 0.0, new)
    pairs: Floats = filling * before + filling**2 / 2.0 + (new - filling) * window
    return pairs


def _along(seconds: Floats, length: Floats) -> Floats:
    """``seconds`` over PROMPTS at a length, linear in both logarithms, and beyond as in the last interval."""
    x, y, wanted = np.log(PROMPTS), np.log(seconds), np.log(length)
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    found = np.interp(wanted, x, y) + slope * np.maximum(wanted - x[-1], 0.0)
    at: Floats = np.exp(found)
    return at
