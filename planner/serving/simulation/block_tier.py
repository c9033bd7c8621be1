"""Host memory and disk of one replica in the simulator, by prompt block ids: what recordings share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from planner.serving.offload import Offload


class BlockStore:
    """Blocks in one place of bounded size, least recently used first."""

    def __init__(self, blocks: int) -> None:
        self.size = blocks
        self._kept: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, block: int) -> bool:
        return block in self._kept

    def put(self, blocks: Iterable[int]) -> list[int]:
        """Hold these blocks, the last the longest; those that were evicted for them."""
        kept, gone = self._kept, []
        for block in blocks:
            kept[block] = None
            kept.move_to_end(block)
        while len(kept) > self.size:
            gone.append(kept.popitem(last=False)[0])
        return gone


class BlockTier:
    """What lies below the prefix cache of one replica; see ``planner.serving.offload``.

    ``block_tokens``: tokens of an id; ``recompute_s``: what computing one token again costs [s]. One link
    brings blocks back, one request after the other.
    """

    def __init__(self, offload: Offload, block_tokens: int, recompute_s: float) -> None:
        self.writes_through = offload.writes_through
        self.fetched_tokens = 0
        self._offload = offload
        self._block = block_tokens
        self._recompute_s = recompute_s
        self._host = BlockStore(int(offload.host_tokens // block_tokens))
        self._disk = BlockStore(int(offload.disk_tokens // block_tokens))
        self._free_s = 0.0

    def store(self, blocks: Iterable[int]) -> None:
        """Hold blocks on the host, the last the longest; the oldest there go to disk."""
        self._disk.put(self._host.put(blocks))

    def fetch(self, prefix: Sequence[int], have: int, now_s: float) -> tuple[int, float] | None:
        """Ids of a prompt that a fetch makes there, and when; None where it is not worth it.

        ``have``: its first ids that are in the pool already. A fetch is worth it when it ends sooner than
        the same tokens are computed.
        """
        seconds, ids = 0.0, have
        for block in prefix[have:]:
            if block in self._host:
                seconds += self._block * self._offload.host_s_per_token
            elif block in self._disk:
                seconds += self._block * self._offload.disk_s_per_token
            else:
                break
            ids += 1
        tokens = (ids - have) * self._block
        if tokens <= 0:
            return None
        end = max(now_s, self._free_s) + seconds
        if end - now_s >= tokens * self._recompute_s:
            return None
        self._free_s = end
        self.fetched_tokens += tokens
        self.store(reversed(prefix[:ids]))
        return ids, end
