"""What the prompts of a step take in attention, attention modules and recurrences.

A chunk of a prompt finds earlier tokens in the KV cache. Full attention then takes what it does for a
prompt with as many pairs of tokens. Windows, recurrences and modules (which hold projections) take what
they do for a prompt of as many new tokens, and ``earlier`` on top of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.performance.kernels.grids import Floats, LogGrid

PROMPTS: Floats = np.array([16, *(2.0 ** np.arange(6, 15))])
PROMPT_SEQUENCES: Floats = np.array([1.0, 4.0, 16.0])
CHUNKS: Floats = np.array([16.0, 128.0, 512.0, 2048.0, 8192.0])
EARLIER: Floats = np.array([512.0, 2048.0, 8192.0, 32768.0, 131072.0])
TINY_S = 1e-12
_WHOLE, _CHUNK = LogGrid(PROMPT_SEQUENCES, PROMPTS), LogGrid(CHUNKS, EARLIER)


@dataclass(frozen=True, repr=False, eq=False)
class PromptSeconds:
    """Seconds of one pipeline stage's layers for the prompts of a step on one GPU.

    by_pairs: of full attention, over PROMPT_SEQUENCES and PROMPTS, the length of whole prompts. by_tokens:
    of everything else, likewise. earlier: what that takes more for one prompt, over CHUNKS (its new
    tokens) and EARLIER (those in the cache). All rise with their arguments.
    """

    by_pairs: Floats
    by_tokens: Floats
    earlier: Floats

    def times(self, factor: float) -> PromptSeconds:
        """All of it multiplied by a factor."""
        return PromptSeconds(self.by_pairs * factor, self.by_tokens * factor, self.earlier * factor)

    def at_least(self, least: PromptSeconds) -> PromptSeconds:
        """Whole prompts no faster than ``least`` has them."""
        return PromptSeconds(
            np.maximum(self.by_pairs, least.by_pairs),
            np.maximum(self.by_tokens, least.by_tokens),
            self.earlier,
        )

    @cached_property
    def goes_by_tokens(self) -> bool:
        """Whether any layer is no full attention."""
        return bool(self.by_tokens.max() > TINY_S)

    @cached_property
    def _logs(self) -> tuple[Floats, Floats, Floats]:
        return np.log(self.by_pairs), np.log(self.by_tokens), np.log(self.earlier)

    def seconds(self, prompts: Floats, tokens: Floats, pairs: Floats) -> Floats:
        """Seconds of prompts alike, at least one: their number, new tokens, and pairs that they attend to."""
        by_pairs, by_tokens, earlier = self._logs
        found = _WHOLE.at(by_pairs, prompts, np.sqrt(2.0 * pairs / prompts))
        if self.goes_by_tokens:
            new = np.maximum(tokens / prompts, 1.0)
            before = np.maximum(pairs / prompts / new - (new + 1.0) / 2.0, 0.0)
            share = np.minimum(before / EARLIER[0], 1.0)
            found += _WHOLE.at(by_tokens, prompts, new)
            found += prompts * share * _CHUNK.at(earlier, new, before)
        return found
