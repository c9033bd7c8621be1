"""What a deployment occupies on each GPU, as a partition of the CUDA-visible memory."""

from __future__ import annotations

from dataclasses import dataclass, fields

from planner.sizing.cache.layout import KvLayout


@dataclass(frozen=True, slots=True)
class MemoryLayout:
    """Bytes per GPU [B] of the fullest rank; the seven parts sum to ``total_bytes``.

    weights_bytes: this rank's share of the weights; kv_pool_bytes: paged KV and state pool;
    activations_bytes: peak of the forward pass; cuda_graphs_bytes: captured graphs;
    context_bytes: CUDA context, collectives' buffers, what is not the framework's;
    adapters_bytes: LoRA adapters and RoPE tables; outside_budget_bytes: what the engine's own budget
    leaves untouched. When the model does not fit, ``fits`` is False, ``reasons`` says by how much, and
    ``kv_pool_bytes`` is 0 unless a pool exists that is merely too small for one longest request.

    ``kv``: bytes per token and sequence on this rank. ``kv_ranks``: attention-DP ranks, each holding
    its own sequences. ``kv_pool_tokens``: distinct tokens of the whole replica the pool holds when
    every token is kept by every layer (full attention). ``kv_pool_bytes`` is per rank.
    """

    weights_bytes: float
    kv_pool_bytes: float
    activations_bytes: float
    cuda_graphs_bytes: float
    context_bytes: float
    adapters_bytes: float
    outside_budget_bytes: float
    total_bytes: float
    kv: KvLayout
    kv_ranks: int
    kv_pool_tokens: float
    fits: bool
    reasons: tuple[str, ...] = ()

    def parts_bytes(self) -> dict[str, float]:
        """The partition by name [B]; the values sum to ``total_bytes``."""
        return {
            f.name.removesuffix("_bytes"): getattr(self, f.name)
            for f in fields(self)
            if f.name.endswith("_bytes") and f.name != "total_bytes"
        }

    def max_sequences(self, tokens_per_sequence: float) -> int:
        """How many sequences of that many tokens an engine admits to the replica's pool at once."""
        return int(self.kv_pool_bytes // self.reserved_bytes(tokens_per_sequence)) * self.kv_ranks

    def concurrency(self, tokens_per_sequence: float) -> float:
        """The pool over what one such request reserves, as engines print it [sequences]."""
        return self.kv_pool_bytes / self.reserved_bytes(tokens_per_sequence) * self.kv_ranks

    def reserved_bytes(self, tokens: float) -> float:
        """What an engine counts for one request of that many tokens before it admits it [B]."""
        return max(self.kv.reserved_for(tokens), 1.0)

    def longest_sequence_tokens(self) -> float:
        """How many tokens one sequence may have alone in the pool [tokens]; inf when none grow."""
        return self.kv.tokens_in(self.kv_pool_bytes)
