"""How requests follow each other where they are turns of conversations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Dialogue:
    """How the requests of a simulation follow each other, by index.

    conversation: of each; next_turn: the request that follows, -1 after the last; pause_s: between the end
    of its answer and that request [s]; begins: requests that come at their own time; left_before:
    (conversation, tokens held) of what came before the start, in order of time; shared_tokens: of the
    prompt that all share; until_s: no request is sent later [s].
    """

    conversation: Ints
    next_turn: Ints
    pause_s: Floats
    begins: Ints
    left_before: tuple[tuple[int, int], ...]
    shared_tokens: int
    until_s: float
