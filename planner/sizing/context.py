"""The longest request an engine is started for: the scenario's own, and more where that is free."""

from __future__ import annotations

import math

from planner.catalog.pooling import is_encoder
from planner.deployment import Deployment
from planner.sizing.coefficients import memory_coefficients
from planner.sizing.layout import MemoryLayout

POOL_SHARE = (
    0.5  # of the KV pool that one longest request may take: it starts with half the pool too
)


def default_context(deployment: Deployment, memory: MemoryLayout, longest_tokens: int) -> int:
    """The model length [tokens] to start the engine with where nobody pinned one.

    An engine that splits prompts reserves nothing for its model length, so it is the model's own, as
    far as one such request leaves ``1 - POOL_SHARE`` of the pool free; at least ``longest_tokens`` in
    whole KV blocks. Where prompts run whole, a longer one would cost activations: it is that least.
    """
    block = deployment.engine.kv_block_tokens
    limit = deployment.model.max_context_tokens
    least = math.ceil(longest_tokens / block) * block
    if runs_prompts_whole(deployment) or not limit:
        return min(least, limit) if limit else least
    held = min(memory.kv.tokens_in(POOL_SHARE * memory.kv_pool_bytes), limit)
    return min(max(least, int(held)), limit)


def runs_prompts_whole(deployment: Deployment) -> bool:
    """Whether no prompt may be longer than a step's token budget.

    Some engine versions split none; and no engine splits those of an encoder, whose tokens see all others.
    """
    whole = memory_coefficients(deployment.engine).unchunked_prompt_tokens > 0
    return whole or is_encoder(deployment.model)
