"""What SGLang leaves aside when it chooses ``mem_fraction_static`` itself.

The terms are those of its ``server_args.py``; their sizes belong to an engine version and are data
(``reserve_*`` under ``memory`` in ``catalogs/engines.yaml``, and in ``gpu_limits`` where a version looks
at the GPU's size instead).
"""

from __future__ import annotations

from planner.catalog.model import LatentAttention, distinct_layers
from planner.deployment import Deployment
from planner.sizing.batch_limits import batch_limits
from planner.sizing.coefficients import MemoryCoefficients
from planner.units import GIB, MIB

LEAST_CHUNK_TOKENS = 2048  # what the formula takes where a chunk is smaller
MANY_GRAPH_SEQUENCES = 300  # above it attention-DP ranks reserve more for each
# Tokens of the prompt chunks it captures: 4 to 32 by 4, 48 to 256 by 16 and so on (wheel 0.5.15.post1).
PREFILL_GRAPH_TOKENS: tuple[int, ...] = (
    *range(4, 33, 4),
    *range(48, 257, 16),
    *range(288, 513, 32),
    *range(576, 1025, 64),
    *range(1280, 4097, 256),
    *range(4608, 16385, 512),
)


def static_reserve_bytes(
    deployment: Deployment, c: MemoryCoefficients, graphs_max_batch: int
) -> float:
    """Memory left aside on one GPU for everything that is neither weights nor KV cache [B].

    ``base + a chunk + b graphs + c gpus + d prefill graphs (+ e graphs dp)``, at least the floor of
    large GPUs, and what speculation and attention DP add. ``chunk`` is the option's, before ranks take
    their part. Reference: SGLang srt/server_args.py, ``_handle_gpu_memory_settings``.
    """
    limits = deployment.engine.limits_on(deployment.gpu)
    of_class = limits.reserve_base_mib if limits else None
    base = c.reserve_base_mib if of_class is None else of_class
    of_gpu = limits.reserve_mib_per_gpu if limits else None
    per_gpu = c.reserve_mib_per_gpu if of_gpu is None else of_gpu
    chunk = batch_limits(deployment).max_num_batched_tokens
    gpus = deployment.tensor_parallel * deployment.pipeline_parallel * deployment.data_parallel
    reserve: float = (
        base
        + c.reserve_mib_per_prefill_token * max(chunk, LEAST_CHUNK_TOKENS)
        + c.reserve_mib_per_graph_sequence * graphs_max_batch
        + per_gpu * gpus
        + _prefill_graphs_mib(deployment, c, chunk)
    )
    if deployment.data_parallel > 1:
        each = c.reserve_mib_per_graph_sequence_dp
        if graphs_max_batch > MANY_GRAPH_SEQUENCES:
            each += c.reserve_mib_per_large_graph_sequence_dp
        reserve += each * graphs_max_batch * deployment.data_parallel + c.reserve_mib_dp
    if deployment.gpu.driver_bytes > c.reserve_floor_above_gib * GIB:
        reserve = max(reserve, c.reserve_floor_mib)
    return (reserve + _draft_mib(deployment, c)) * MIB


def _prefill_graphs_mib(deployment: Deployment, c: MemoryCoefficients, chunk: int) -> float:
    """Of captured prompt chunks: so much a size, or one sum where attention is latent."""
    if any(isinstance(layer.mixer, LatentAttention) for layer in distinct_layers(deployment.model)):
        return c.reserve_mib_latent_prefill_graphs
    return c.reserve_mib_per_prefill_graph * sum(size <= chunk for size in PREFILL_GRAPH_TOKENS)


def _draft_mib(deployment: Deployment, c: MemoryCoefficients) -> float:
    """Of speculation: from the model's own states, or by a model that drafts on its own; n-grams none."""
    if deployment.drafts_from_states:
        return c.reserve_mib_draft
    own = deployment.draft is not None and deployment.draft.method == "draft"
    return c.reserve_mib_draft_model if own and deployment.settings.draft_tokens else 0.0
