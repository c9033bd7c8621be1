"""What one GPU of a deployment reads, computes and sends: the shapes behind a step's time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import (
    LatentAttention,
    Mixer,
    ModelSpec,
    MoeMlp,
    RecurrentMixer,
    SoftmaxAttention,
    SparseIndexer,
    Tensor,
    layer_counts,
)
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision, sixteen_bit
from planner.performance.collectives import Interconnect, expert_exchange, link, reduction_share
from planner.performance.roofline import Gemm, Loads
from planner.sizing.cache.entries import indexer_key_bytes
from planner.sizing.precision import stored_format, tensor_bytes
from planner.sizing.sharding import Cut, local_values, stage_tensors

_UNTOUCHED = frozenset({"embedding", "head", "vision", "mtp", "norm", "bias"})
_ACTIVATION_BYTES = 2.0
BF16 = WeightFormat("bf16", 16.0, "bf16", weight_only=False)


@dataclass(slots=True)
class _Reads:
    """Sums over the mixers of all layers; see ``Loads`` for the units."""

    context_bytes: float = 0.0
    context_flops: float = 0.0
    window_bytes: float = 0.0
    window_weighted: float = 0.0
    state_bytes: float = 0.0
    pair_flops: float = 0.0
    window_pair_flops: float = 0.0
    latent: int = 0
    recurrent: int = 0


@lru_cache(maxsize=8192)
def loads_of(deployment: Deployment) -> Loads:
    """Return the per-GPU loads of a deployment, the mean over its pipeline stages.

    Embeddings are looked up, not read; the head is counted per sampled token; MTP and vision
    tensors are idle in text decoding. Experts are spread over all ranks of a stage and serve the
    tokens of all its attention-DP ranks.
    """
    model, gpu = deployment.model, deployment.gpu
    stages, tp, dp = (
        deployment.pipeline_parallel,
        deployment.tensor_parallel,
        deployment.data_parallel,
    )
    moe = next((y.mlp for y, _ in layer_counts(model) if isinstance(y.mlp, MoeMlp)), None)
    experts, top_k = (moe.experts, moe.top_k) if moe else (1, 1)
    sums = _sum_weights(model, Cut.of(deployment), deployment.weights)
    reads = _sum_reads(model, tp, deployment.kv_cache.bytes_per_value)
    low, routed = kernel_formats(deployment)
    wide = gpu.peak_flops(sixteen_bit(gpu))
    expert_layers, blocks = blocks_of(model)
    exchanges = 2 * expert_layers if dp > 1 else 0
    reductions = (blocks - (expert_layers if exchanges else 0)) if tp > 1 else 0
    network = link_of(deployment)
    inner = link(gpu, tp) if network.kind == "network" else network  # TP stays within a node
    exchange = expert_exchange(gpu, tp * dp, top_k)
    message = model.hidden_size * _ACTIVATION_BYTES
    routed_rows = expert_layers * top_k / tp
    return Loads(
        quantised=Gemm(
            sums.low_bytes / stages,
            2 * sums.low_values / stages,
            gpu.peak_flops(compute_precision(low, gpu)),
        ),
        plain=Gemm(sums.plain_bytes / stages, 2 * sums.plain_values / stages, wide),
        head=Gemm(sums.head_bytes / stages, 2 * sums.head_values / stages, wide),
        expert=Gemm(
            sums.expert_bytes / stages,
            2 * sums.expert_values * top_k / experts / stages,
            gpu.peak_flops(compute_precision(routed, gpu)),
        ),
        experts=float(experts),
        experts_per_token=float(top_k),
        expert_ranks=float(deployment.expert_parallel),
        expert_token_share=float(dp),
        context_bytes_per_token=reads.context_bytes / stages,
        context_flops_per_token=reads.context_flops / stages,
        window_tokens=reads.window_weighted / reads.window_bytes if reads.window_bytes else 1.0,
        window_bytes_per_token=reads.window_bytes / stages,
        state_bytes_per_sequence=reads.state_bytes / stages,
        pair_flops=reads.pair_flops / stages,
        window_pair_flops=reads.window_pair_flops / stages,
        attention_peak_flops_s=wide,
        activation_bytes_per_token=message * (len(model.layers) + routed_rows) / stages,
        reductions=reductions * _on(network, inner) / stages,
        reduction_bytes_per_token=message
        * reductions
        * reduction_share(tp)
        * (network.bytes_s / inner.bytes_s)
        / stages,
        exchanges=exchanges * exchange.steps / stages,
        exchange_bytes_per_token=message
        * exchanges
        * exchange.share
        * _dispatched_share(network, compute_precision(routed, gpu))
        / stages,
        link_bytes_s=network.bytes_s,
        link_hops=network.hops,
        bandwidth_bytes_s=gpu.bandwidth_bytes_s,
        multiprocessors=float(gpu.multiprocessors or math.inf),
        layers=len(model.layers) / stages,
        expert_layers=expert_layers / stages,
        latent_layers=reads.latent / stages,
        recurrent_layers=reads.recurrent / stages,
        spread_layers=(expert_layers if deployment.expert_parallel > 1 else 0) / stages,
        data_parallel=float(dp),
        pipeline_parallel=float(stages),
        tokens_per_sequence=1.0 + deployment.settings.draft_tokens,
        uncaptured=1.0 if deployment.settings.eager else 0.0,
        draft_layers=float(deployment.settings.draft_tokens) / stages
        if deployment.predicts_ahead
        else 0.0,
    )


def blocks_of(model: ModelSpec) -> tuple[int, int]:
    """How many layers of a model have experts, and how many mixers and feed-forwards all have."""
    layers = layer_counts(model)
    experts = sum(count for layer, count in layers if isinstance(layer.mlp, MoeMlp))
    blocks = sum(((y.mixer is not None) + (y.mlp is not None)) * count for y, count in layers)
    return experts, blocks


def kernel_formats(deployment: Deployment) -> tuple[WeightFormat, WeightFormat]:
    """Return the formats of the dense matrix products and of the expert products."""
    return _kernel_formats(deployment.weights)


@lru_cache(maxsize=256)
def _kernel_formats(fmt: WeightFormat) -> tuple[WeightFormat, WeightFormat]:
    dense = stored_format(Tensor("mlp", "mlp", 1, 1), fmt)
    if _stays_wide(dense):
        dense = stored_format(Tensor("attention", "attention", 1, 1), fmt)
    routed = stored_format(Tensor("expert", "expert", 1, 1), fmt)
    return dense or BF16, routed or BF16


def link_of(deployment: Deployment) -> Interconnect:
    """Return the slowest link the ranks of one pipeline stage cross."""
    return link(deployment.gpu, deployment.gpus // deployment.pipeline_parallel)


def _dispatched_share(network: Interconnect, precision: str) -> float:
    """Bytes of a dispatch and a combine over two 16-bit ones: FP8 experts are sent FP8 tokens.

    So do the all-to-all kernels used across nodes (DeepEP: FP8 dispatch, BF16 combine).
    """
    return 0.75 if network.kind == "network" and precision == "fp8" else 1.0


def _on(shared: Interconnect, inner: Interconnect) -> float:
    """Latency steps of ``inner`` in those of the link that is priced."""
    return inner.hops / shared.hops if shared.hops else 1.0


@dataclass(slots=True)
class _Weights:
    low_bytes: float = 0.0
    low_values: float = 0.0
    plain_bytes: float = 0.0
    plain_values: float = 0.0
    head_bytes: float = 0.0
    head_values: float = 0.0
    expert_bytes: float = 0.0
    expert_values: float = 0.0


@lru_cache(maxsize=2048)
def _sum_weights(model: ModelSpec, cut: Cut, fmt: WeightFormat) -> _Weights:
    sums = _Weights()
    for tensor in model.head_tensors:
        sums.head_values += local_values(tensor, cut)
        sums.head_bytes += tensor_bytes(tensor, fmt) * local_values(tensor, cut) / tensor.values
    stages = range(cut.pipeline)
    for tensor, local in (entry for stage in stages for entry in stage_tensors(model, cut, stage)):
        share = tensor_bytes(tensor, fmt) * local / tensor.values
        if tensor.klass in _UNTOUCHED:
            continue
        if tensor.klass == "expert":
            sums.expert_bytes += share
            sums.expert_values += local
        elif _stays_wide(stored_format(tensor, fmt)):
            sums.plain_bytes += share
            sums.plain_values += local
        else:
            sums.low_bytes += share
            sums.low_values += local
    return sums


def _stays_wide(stored: WeightFormat | None) -> bool:
    return stored is None or stored.bits >= 16


@lru_cache(maxsize=2048)
def _sum_reads(model: ModelSpec, tp: int, kv_bytes: float) -> _Reads:
    reads = _Reads()
    for mixer, count in _mixers(model):
        _add_reads(reads, mixer, count, tp, kv_bytes)
    return reads


@lru_cache(maxsize=64)
def _mixers(model: ModelSpec) -> tuple[tuple[Mixer, int], ...]:
    counts: dict[Mixer, int] = {}
    for layer in model.layers:
        if layer.mixer is not None:
            counts[layer.mixer] = counts.get(layer.mixer, 0) + 1
    return tuple(counts.items())


def _add_reads(reads: _Reads, mixer: Mixer, count: int, tp: int, kv_bytes: float) -> None:
    if isinstance(mixer, RecurrentMixer):
        state = mixer.state_values * mixer.state_bytes_per_value + 2 * mixer.conv_values
        reads.state_bytes += 2 * count * state / min(tp, max(mixer.heads, 1))
        reads.recurrent += count
        return
    heads = max(mixer.heads / tp, 1.0)
    if isinstance(mixer, LatentAttention):
        values = float(mixer.kv_lora_rank + mixer.qk_rope_head_dim)
        decode = 2 * heads * (2 * mixer.kv_lora_rank + mixer.qk_rope_head_dim)
        pair = 2 * heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim + mixer.v_head_dim)
        window, ratio = None, 1
        reads.latent += count
    else:
        values, decode, pair = _softmax_shapes(mixer, heads, tp)
        window, ratio = mixer.window, mixer.compress_ratio
    if mixer.indexer is not None:
        _add_indexer(reads, mixer.indexer, count, ratio)
        window = mixer.indexer.top_k
    if window is None:
        reads.context_bytes += count * values * kv_bytes / ratio
        reads.context_flops += count * decode / ratio
        reads.pair_flops += count * pair / ratio
    else:
        reads.window_bytes += count * values * kv_bytes
        reads.window_weighted += count * values * kv_bytes * window
        reads.window_pair_flops += count * pair


def _softmax_shapes(mixer: SoftmaxAttention, heads: float, tp: int) -> tuple[float, float, float]:
    kv_heads = max(mixer.kv_heads / tp, 1.0)
    width = mixer.head_dim + (0 if mixer.keys_equal_values else mixer.v_head_dim)
    flops = 2 * heads * (mixer.head_dim + mixer.v_head_dim)
    return kv_heads * width, flops, flops


def _add_indexer(reads: _Reads, indexer: SparseIndexer, count: int, ratio: int) -> None:
    """Every cached key is scored by the indexer, whatever the attention then reads.

    Its small kernels (projections, quantisation, scores, top-k) are about as many as MLA's own.
    """
    if indexer.shared:
        return
    reads.latent += count
    flops = 2 * indexer.heads * indexer.head_dim
    reads.context_bytes += count * indexer_key_bytes(indexer) / ratio
    reads.context_flops += count * flops / ratio
    reads.pair_flops += count * flops / ratio
