"""Prompt blocks kept after use, evicted least recently used, as far as the KV pool has room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """Which prompt blocks a replica remembers.

    ``block_tokens``: tokens one id stands for (512 in Mooncake traces). Blocks live in the prompts of
    running sequences and in what the pool has free; beyond that the least recently used is evicted.
    The pool itself counts shared blocks once per sequence, so the estimate of hits is careful.
    """

    def __init__(self, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def match(self, prefix: Sequence[int], free_tokens: float) -> int:
        """Tokens of the longest cached prefix, after evicting what ``free_tokens`` cannot hold."""
        blocks = self._blocks
        room = max(0, int(free_tokens // self.block_tokens))
        while len(blocks) > room:
            blocks.popitem(last=False)
        return self.blocks_held(prefix) * self.block_tokens

    def blocks_held(self, prefix: Sequence[int]) -> int:
        """Blocks of the longest cached prefix."""
        blocks = self._blocks
        hits = 0
        for block in prefix:
            if block not in blocks:
                break
            hits += 1
        return hits

    def insert(self, prefix: Sequence[int]) -> None:
        """Remember a prompt's blocks as most recently used, the first block last to go."""
        blocks = self._blocks
        for block in reversed(prefix):
            blocks[block] = None
            blocks.move_to_end(block)
