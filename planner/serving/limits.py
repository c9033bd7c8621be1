"""What one replica's scheduler may not exceed: batch slots, tokens a step, and the KV pool."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.catalog.engine import Scheduler
from planner.catalog.pooling import is_encoder
from planner.deployment import Deployment
from planner.serving.offload import Offload, offload_of
from planner.sizing.batch_limits import limits_within, prefix_caching, state_pool_share
from planner.sizing.layout import MemoryLayout


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """The scheduler's limits for a whole replica (attention-DP ranks added up).

    max_num_seqs: sequences that may run at once. max_num_batched_tokens: tokens one step may work
    on (SGLang: the prefill chunk). kv_pool_bytes: the paged pool [B]; kv_block_tokens: tokens of one
    block; kv_block_bytes: bytes of one block of the layers that keep growing [B] (0 when none do);
    windows: (window, bytes per token) of layers that stop growing; state_bytes: constant state of one
    sequence [B]. draft_tokens and tokens_per_step describe speculative decoding: one decode step
    checks ``1 + draft_tokens`` and yields ``tokens_per_step`` tokens per sequence.
    chunked: whether a prompt may be split over steps; prefix_caching: whether freed blocks stay until
    the room is needed, so that a preempted sequence finds them again. ranks: attention-DP ranks; a
    prompt runs on one of them, and the step lasts until the busiest rank is done. offload: where blocks
    go that the pool gives up, None where they are lost.
    """

    scheduler: Scheduler
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_pool_bytes: float = math.inf
    kv_block_tokens: int = 16
    kv_block_bytes: float = 1.0
    windows: tuple[tuple[int, float], ...] = ()
    state_bytes: float = 0.0
    draft_tokens: int = 0
    tokens_per_step: float = 1.0
    chunked: bool = True
    ranks: int = 1
    prefix_caching: bool = False
    offload: Offload | None = None

    @property
    def chunk_tokens(self) -> int:
        """The most tokens one prompt may have in a step: its rank's own budget."""
        return max(1, self.max_num_batched_tokens // self.ranks)

    def fixed_bytes(self, total_tokens: int) -> float:
        """Bytes of a sequence that do not grow by blocks [B]: its state and its filled windows.

        Windowed layers are charged for ``min(total_tokens, window)`` from admission on, which is
        what they hold at the end of the sequence.
        """
        return self.state_bytes + sum(b * min(total_tokens, w) for w, b in self.windows)

    def sequence_bytes(self, total_tokens: int) -> float:
        """Bytes a sequence of that many tokens occupies [B], whole blocks."""
        blocks = -(-total_tokens // self.kv_block_tokens)
        return self.fixed_bytes(total_tokens) + blocks * self.kv_block_bytes

    def sharing(self, tokens: int) -> ReplicaLimits:
        """The pool that is left when the whole blocks of a prefix of ``tokens`` are held once, for all."""
        if not tokens:
            return self
        shared = tokens // self.kv_block_tokens * self.kv_block_bytes
        return replace(self, kv_pool_bytes=max(self.kv_pool_bytes - shared, 1.0))

    @property
    def pool_tokens(self) -> float:
        """Tokens of growing KV that the whole pool holds; 0 where none grows."""
        if self.kv_block_bytes <= 0:
            return 0.0
        return self.kv_pool_bytes / self.kv_block_bytes * self.kv_block_tokens

    def with_pool_tokens(self, tokens: float) -> ReplicaLimits:
        """The same limits with a pool of that many tokens of growing KV, as engines print it."""
        pool = tokens / self.kv_block_tokens * self.kv_block_bytes
        return replace(self, kv_pool_bytes=pool)

    def holding(self, total_tokens: int) -> ReplicaLimits:
        """The same limits with a pool of at least one sequence of ``total_tokens``."""
        return replace(
            self, kv_pool_bytes=max(self.kv_pool_bytes, self.sequence_bytes(total_tokens))
        )


def replica_limits(deployment: Deployment, memory: MemoryLayout) -> ReplicaLimits:
    """The limits that the engine's defaults, the settings and the memory layout give a replica.

    Attention-DP ranks run their own scheduler over their own pool; what each may do adds up. Where an
    engine keeps recurrent states apart, the pool is what it leaves for the KV cache.
    """
    engine, settings = deployment.engine, deployment.settings
    ranks, kv = memory.kv_ranks, memory.kv
    batch = limits_within(deployment, memory)
    split = state_pool_share(deployment) if kv.state_bytes_per_sequence else 0.0
    return ReplicaLimits(
        scheduler=engine.scheduler,
        max_num_seqs=batch.rank_sequences * ranks,
        max_num_batched_tokens=batch.rank_tokens * ranks,
        kv_pool_bytes=memory.kv_pool_bytes * ranks * (1 - split),
        kv_block_tokens=int(kv.block_tokens),
        kv_block_bytes=float(kv.growing_bytes_per_token * kv.block_tokens),
        windows=tuple((int(w), float(b)) for w, b in kv.windows),
        state_bytes=0.0 if split else float(kv.state_bytes_per_sequence),
        chunked=engine.scheduler is not Scheduler.NO_EVICT and not is_encoder(deployment.model),
        ranks=ranks,
        prefix_caching=prefix_caching(deployment),
        offload=offload_of(deployment, float(kv.growing_bytes_per_token)),
        draft_tokens=settings.draft_tokens,
        tokens_per_step=settings.tokens_per_step,
    )
