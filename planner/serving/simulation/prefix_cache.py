"""Prompt blocks that requests share, held once in a replica's pool and kept after use while room lasts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from planner.serving.simulation.block_tier import BlockTier


class PrefixCache:
    """Prompt blocks of one replica by their ids.

    ``block_tokens``: tokens one id represents (512 in Mooncake traces); ``unit_blocks``: KV blocks that
    takes. A block that running sequences use is held, once however many they are; one that nobody uses
    any more is kept in the free part of the pool, and the least recently used is evicted first, to
    ``tier`` where there is one.
    """

    def __init__(
        self, block_tokens: int, unit_blocks: int = 1, tier: BlockTier | None = None
    ) -> None:
        self.block_tokens = block_tokens
        self.tier = tier
        self.unit_blocks = unit_blocks
        self._users: dict[int, int] = {}
        self._kept: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users) + len(self._kept)

    @property
    def held_blocks(self) -> int:
        """KV blocks in use by running sequences."""
        return len(self._users) * self.unit_blocks

    @property
    def kept_blocks(self) -> int:
        """KV blocks of the free part that hold what nobody uses."""
        return len(self._kept) * self.unit_blocks

    def knows(self, block: int) -> bool:
        return block in self._users or block in self._kept

    def blocks_held(self, prefix: Iterable[int]) -> int:
        """Ids of the longest known prefix."""
        hits = 0
        for block in prefix:
            if block not in self._users and block not in self._kept:
                break
            hits += 1
        return hits

    def kept_among(self, prefix: Sequence[int]) -> int:
        """KV blocks that using these known ids would take out of the free part of the pool."""
        return sum(block in self._kept for block in prefix) * self.unit_blocks

    def use(self, blocks: Iterable[int]) -> None:
        """One sequence more uses these ids."""
        users, kept = self._users, self._kept
        for block in blocks:
            kept.pop(block, None)
            users[block] = users.get(block, 0) + 1

    def leave(self, blocks: Sequence[int]) -> None:
        """One sequence less uses these ids; the last one's stay, its first block longest."""
        users, kept = self._users, self._kept
        for block in reversed(blocks):
            users[block] -= 1
            if not users[block]:
                del users[block]
                kept[block] = None
        if self.tier is not None and self.tier.writes_through:
            self.tier.store(reversed(blocks))

    def shrink(self, free_blocks: float) -> None:
        """Forget what the free part of the pool cannot keep."""
        kept = self._kept
        gone = []
        while kept and len(kept) * self.unit_blocks > free_blocks:
            gone.append(kept.popitem(last=False)[0])
        if gone and self.tier is not None and not self.tier.writes_through:
            self.tier.store(gone)
