"""What one replica keeps of conversations between their turns: whole KV blocks in the free part of its pool.

A history is a chain of blocks that only its conversation continues, so it is held as one number: how many
of its first blocks are there. Engines free a sequence's blocks tail first and reuse the block freed
longest ago (vLLM V1, ``block_pool.py``; SGLang's radix cache drops leaves by last access), so what gives
way is the tail of the history that was left longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol


class LowerTier(Protocol):
    """Where blocks go that the GPU's pool gives up; ``writes_through``: copies of all that is left too."""

    writes_through: bool

    def store(self, conversation: int, blocks: int) -> None:
        """The first ``blocks`` of a history, of which some are about to leave the pool."""

    def fetch(self, conversation: int, have: int, now_s: float) -> tuple[int, float] | None:
        """Blocks of a history that a fetch makes there, and when; None where it is not worth it."""


class HistoryCache:
    """Histories by conversation, least recently left first; none of them in use by a sequence."""

    def __init__(self, tier: LowerTier | None = None) -> None:
        self.tier = tier
        self.blocks = 0
        self._kept: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def found(self, conversation: int) -> int:
        """Blocks of a history that are there."""
        return self._kept.get(conversation, 0)

    def take(self, conversation: int) -> int:
        """A sequence continues with a history: its blocks are the sequence's own from now on."""
        blocks = self._kept.pop(conversation, 0)
        self.blocks -= blocks
        return blocks

    def leave(self, conversation: int, blocks: int) -> None:
        """A sequence leaves ``blocks`` of its conversation behind."""
        self.take(conversation)
        if blocks > 0:
            self._kept[conversation] = blocks
            self.blocks += blocks
            if self.tier is not None and self.tier.writes_through:
                self.tier.store(conversation, blocks)

    def shrink(self, free_blocks: float) -> None:
        """Forget what the free part of the pool cannot keep, from the tail of the oldest."""
        kept = self._kept
        while self.blocks > free_blocks and kept:
            conversation, blocks = next(iter(kept.items()))
            if self.tier is not None and not self.tier.writes_through:
                self.tier.store(conversation, blocks)
            over = self.blocks - free_blocks
            if over >= blocks:
                del kept[conversation]
                self.blocks -= blocks
            else:
                drop = int(-(-over // 1))
                kept[conversation] = blocks - drop
                self.blocks -= drop
