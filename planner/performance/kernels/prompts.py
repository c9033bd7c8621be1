"""What the prompts of a step take in attention, attention modules and recurrences.

A chunk of a prompt finds earlier tokens in the KV cache. Full attention then takes what it does for prompts
with as many pairs of tokens. Windows, recurrences and modules (which hold projections) take a time that
follows the new tokens of the step, and that rises with how many tokens each of them attends to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.performance.kernels.grids import Floats, LogGrid

PROMPTS: Floats = np.array([16, *(2.0 ** np.arange(6, 15))])
PROMPT_SEQUENCES: Floats = np.array([1.0, 4.0, 16.0])
NEW: Floats = 2.0 ** np.arange(4.0, 16.0)
ATTENDED: Floats = 2.0 ** np.arange(3.0, 18.0)
TINY_S = 1e-12
_WHOLE, _STEP = LogGrid(PROMPT_SEQUENCES, PROMPTS), LogGrid(NEW, ATTENDED)


@dataclass(frozen=True, repr=False, eq=False)
class PromptSeconds:
    """Seconds of one pipeline stage's layers for the prompts of a step on one GPU.

    by_pairs: of full attention, over PROMPT_SEQUENCES and PROMPTS, the length of whole prompts. by_tokens:
    of everything else, over NEW (tokens of the step) and ATTENDED (that each of them attends to, in the
    mean). Both rise with their arguments.
    """

    by_pairs: Floats
    by_tokens: Floats

    def times(self, factor: float) -> PromptSeconds:
        """All of it multiplied by a factor."""
        return PromptSeconds(self.by_pairs * factor, self.by_tokens * factor)

    def at_least(self, least: PromptSeconds) -> PromptSeconds:
        """Nothing faster than ``least`` has it."""
        return PromptSeconds(
            np.maximum(self.by_pairs, least.by_pairs), np.maximum(self.by_tokens, least.by_tokens)
        )

    @cached_property
    def goes_by_tokens(self) -> bool:
        """Whether any layer is no full attention."""
        return bool(self.by_tokens.max() > TINY_S)

    @cached_property
    def _logs(self) -> tuple[Floats, Floats]:
        return np.log(self.by_pairs), np.log(self.by_tokens)

    def seconds(self, prompts: Floats, tokens: Floats, pairs: Floats) -> Floats:
        """Seconds of prompts: their number, at least one, new tokens, and pairs that they attend to."""
        by_pairs, by_tokens = self._logs
        found = _WHOLE.at(by_pairs, prompts, np.sqrt(2.0 * pairs / prompts))
        if self.goes_by_tokens:
            found += _STEP.at(by_tokens, tokens, pairs / np.maximum(tokens, 1.0))
        return found
