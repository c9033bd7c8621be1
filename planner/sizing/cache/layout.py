"""What a sequence occupies on one GPU, and what an engine counts for it before it admits it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Number = float | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KvLayout:
    """What one sequence occupies on one GPU.

    growing_bytes_per_token: of layers that keep every token [B]; windows: (window [tokens],
    bytes per token [B]) of layers that keep the last ones; state_bytes_per_sequence: constant [B];
    block_tokens: the cache is handed out in blocks of that many tokens; window_blocks: those of each
    window where they differ.

    What an engine counts for a request before it admits it: step_tokens: tokens of a step that lie
    beside each window until the step is over [tokens], 0 = none; state_copies: states a sequence takes
    (its own, one for each drafted token, one for cached prefixes); draft_factor: growing layers with a
    draft module's own over those without.
    """

    growing_bytes_per_token: float
    windows: tuple[tuple[int, float], ...]
    state_bytes_per_sequence: float
    block_tokens: int
    step_tokens: int = 0
    state_copies: int = 1
    draft_factor: float = 1.0
    window_blocks: tuple[int, ...] = ()

    def bytes_for(self, context_tokens: Number) -> Number:
        """Bytes [B] of one sequence with that many tokens in its cache, whole blocks."""
        held = self._whole_blocks(context_tokens)
        total = held * self.growing_bytes_per_token + self.state_bytes_per_sequence
        for (window, per_token), block in zip(self.windows, self.blocks_of_windows, strict=True):
            total = total + np.minimum(held, math.ceil(window / block) * block) * per_token
        return total if isinstance(total, np.ndarray) else float(total)

    def reserved_for(self, tokens: float) -> float:
        """Bytes [B] an engine counts for a request of that many tokens before it admits it.

        ``bytes_for`` with a draft module's cache, a step's tokens and one more block beside each window
        (vLLM ``SlidingWindowSpec.max_memory_usage_bytes``), and every copy of the states.
        """
        held = float(self._whole_blocks(tokens))
        total = held * self.growing_bytes_per_token * self.draft_factor
        for (window, per_token), block in zip(self.windows, self.blocks_of_windows, strict=True):
            blocks = math.ceil(min(held, float(window)) / block)
            if self.step_tokens:
                blocks = math.ceil(min(tokens, window - 1 + self.step_tokens) / block) + 1
            total += blocks * block * per_token
        return total + self.state_bytes_per_sequence * self.state_copies

    def tokens_in(self, pool_bytes: float) -> float:
        """How many tokens of one long request fit in ``pool_bytes`` [tokens]; inf when none grow."""
        if self.growing_bytes_per_token:
            most = pool_bytes / (self.growing_bytes_per_token * self.block_tokens)
        else:
            widest = max((window for window, _ in self.windows), default=1) + self.step_tokens
            if pool_bytes >= self.reserved_for(widest):
                return math.inf
            most = widest / self.block_tokens
        low, high = 0, int(most) + 1
        while low < high:
            blocks = (low + high + 1) // 2
            if self.reserved_for(blocks * self.block_tokens) <= pool_bytes:
                low = blocks
            else:
                high = blocks - 1
        return float(low * self.block_tokens)

    @property
    def blocks_of_windows(self) -> tuple[int, ...]:
        """Block of each window [tokens]."""
        return self.window_blocks or (self.block_tokens,) * len(self.windows)

    def _whole_blocks(self, tokens: Number) -> Number:
        return np.ceil(tokens / self.block_tokens) * self.block_tokens
