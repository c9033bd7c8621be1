"""Host memory and disk of one replica in the simulator: histories that left the pool, and their way back."""

from __future__ import annotations

from collections import OrderedDict

from planner.serving.offload import Offload


class Store:
    """First blocks of histories in one place of bounded size, least recently used first."""

    def __init__(self, blocks: float) -> None:
        self.size = blocks
        self.blocks = 0.0
        self._kept: OrderedDict[int, int] = OrderedDict()

    def found(self, conversation: int) -> int:
        """Blocks of a history that are there."""
        return self._kept.get(conversation, 0)

    def put(self, conversation: int, blocks: int) -> list[tuple[int, int]]:
        """Hold that many blocks of a history; what was evicted for it, as (conversation, its blocks)."""
        self.blocks += blocks - self._kept.pop(conversation, 0)
        self._kept[conversation] = blocks
        gone = []
        while self.blocks > self.size and self._kept:
            oldest, held = next(iter(self._kept.items()))
            gone.append((oldest, held))
            drop = min(held, int(-(-(self.blocks - self.size) // 1)))
            self.blocks -= drop
            if drop == held:
                del self._kept[oldest]
            else:
                self._kept[oldest] = held - drop
        return gone


class OffloadTier:
    """What lies below the pool of one replica; see ``planner.serving.offload``.

    ``recompute_s``: what computing one token again costs [s]. One link brings histories back, one after
    the other.
    """

    def __init__(self, offload: Offload, block_tokens: int, recompute_s: float) -> None:
        self.writes_through = offload.writes_through
        self.fetched_tokens = 0
        self._offload = offload
        self._block = block_tokens
        self._recompute_s = recompute_s
        self._host = Store(offload.host_tokens // block_tokens)
        self._disk = Store(offload.disk_tokens // block_tokens)
        self._free_s = 0.0

    def store(self, conversation: int, blocks: int) -> None:
        """Hold the first ``blocks`` of a history on the host; the oldest there go to disk."""
        for oldest, held in self._host.put(conversation, blocks):
            if self._disk.size:
                self._disk.put(oldest, held)

    def fetch(self, conversation: int, have: int, now_s: float) -> tuple[int, float] | None:
        """Blocks of a history in the pool after a fetch, and when [s]; None where it is not worth it.

        ``have``: blocks in the pool already; ``now_s``: when it would begin [s]. A fetch is worth it
        when it ends sooner than the same tokens are computed.
        """
        blocks, each_s = self._host.found(conversation), self._offload.host_s_per_token
        deeper = self._disk.found(conversation)
        if deeper > blocks:
            blocks, each_s = deeper, self._offload.disk_s_per_token
        tokens = (blocks - have) * self._block
        if tokens <= 0:
            return None
        end = max(now_s, self._free_s) + tokens * each_s
        if end - now_s >= tokens * self._recompute_s:
            return None
        self._free_s = end
        self.fetched_tokens += tokens
        self.store(conversation, blocks)
        return blocks, end
