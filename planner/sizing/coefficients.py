"""What an engine version keeps beside weights and KV cache, as coefficients with a physical meaning.

The numbers are data: ``memory`` of each version in ``catalogs/engines.yaml``, with their source.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

from planner.catalog.engine import EngineSpec
from planner.errors import CatalogError

GRAPH_COEFFICIENTS = ("graphs_base_gib", "graphs_gib_per_size", "graphs_gib_per_tp_doubling")


@dataclass(frozen=True, slots=True)
class MemoryCoefficients:
    """Memory an engine takes on each GPU beside weights and KV cache.

    sampler_bytes_per_logit: peak of the sampler's warm-up [B per sequence and vocabulary entry];
    fused_sampler_bytes_per_logit: the same with a fused top-k/top-p kernel (FlashInfer).
    forward_hidden_copies: hidden-size tensors alive at the peak of a forward pass.
    unchunked_prompt_tokens: prompts up to this length run whole, so that the start-up profile takes
    the model length [tokens]; 0 = prompts are always cut to the step's token budget.
    encoder_tokens, encoder_patches_per_token: what a vision tower is profiled with.
    context_gib: CUDA context and libraries on one GPU; collectives_gib_tp2, _tp4, _tp8: communication
    buffers between GPUs with a fast link; collectives_gib_unlinked: between GPUs without one.
    graphs_base_gib, graphs_gib_per_size, graphs_gib_per_tp_doubling: captured CUDA graphs, per captured
    batch size, and per doubling of tensor parallelism; graphs_max_batch: the largest captured batch
    where the engine's limits on a GPU name none [sequences]; graphs_every_size_to: every batch up to
    that one is captured, and then 64 and 128, for an engine that pads none (0 = the usual sizes).
    reserve_*: what SGLang leaves aside when it chooses ``mem_fraction_static`` itself [MiB]:
    a base, per token of a prompt chunk, per sequence of the largest graph (and once more times
    attention-DP ranks, with more where that graph is large), per GPU of the replica, per captured prompt
    chunk (one sum for latent attention), for attention DP, for a draft from the model's states and for a
    draft model of its own, and at least ``reserve_floor_mib`` on GPUs above ``reserve_floor_above_gib``;
    no base = not used.
    """

    sampler_bytes_per_logit: float
    fused_sampler_bytes_per_logit: float
    forward_hidden_copies: float
    unchunked_prompt_tokens: float
    encoder_tokens: float
    encoder_patches_per_token: float
    context_gib: float
    collectives_gib_tp2: float
    collectives_gib_tp4: float
    collectives_gib_tp8: float
    collectives_gib_unlinked: float
    graphs_base_gib: float
    graphs_gib_per_size: float
    graphs_gib_per_tp_doubling: float
    graphs_max_batch: float
    graphs_every_size_to: float = 0.0
    reserve_base_mib: float = 0.0
    reserve_mib_per_prefill_token: float = 0.0
    reserve_mib_per_graph_sequence: float = 0.0
    reserve_mib_per_graph_sequence_dp: float = 0.0
    reserve_mib_per_large_graph_sequence_dp: float = 0.0
    reserve_mib_per_gpu: float = 0.0
    reserve_mib_per_prefill_graph: float = 0.0
    reserve_mib_latent_prefill_graphs: float = 0.0
    reserve_mib_dp: float = 0.0
    reserve_mib_draft: float = 0.0
    reserve_mib_draft_model: float = 0.0
    reserve_floor_mib: float = 0.0
    reserve_floor_above_gib: float = 0.0


@lru_cache(maxsize=64)
def memory_coefficients(engine: EngineSpec) -> MemoryCoefficients:
    """Return the coefficients of an engine version.

    Raises CatalogError when ``catalogs/engines.yaml`` lacks one, or has one that is not known.
    """
    given = dict(engine.memory)
    known = {f.name for f in fields(MemoryCoefficients)}
    optional = {name for name in known if name.startswith("reserve_")} | {"graphs_every_size_to"}
    wrong = sorted((known - optional - given.keys()) | (given.keys() - known))
    if wrong:
        raise CatalogError(
            "memory coefficients are missing or unknown",
            where=f"engines.yaml: {engine.name} {engine.version}: memory",
            found=", ".join(wrong),
            allowed=", ".join(sorted(known)),
        )
    return MemoryCoefficients(**given)
