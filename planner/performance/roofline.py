"""One step of one replica, from what each GPU must read, compute and send.

Only ``+ - * / **`` are used, so the same formula takes floats (one step) and arrays
(many steps, many deployments): that is how it is both served and fitted.

Symbols: a smooth maximum ``(m**p + c**p) ** (1/p)`` never lies below either side, so no part is
faster than its bytes over peak bandwidth or its flops over peak rate, as every efficiency is <= 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.performance.steps import Number, StepBatch, StepTimes


@dataclass(frozen=True, slots=True)
class Gemm:
    """Matrix products of one kernel family on one GPU, all layers together.

    weight_bytes: weights read once per step [B]; flops_per_token [FLOP]; peak_flops_s [FLOP/s].
    """

    weight_bytes: Number
    flops_per_token: Number
    peak_flops_s: Number


@dataclass(frozen=True, slots=True)
class GemmFactors:
    """What one kernel family achieves, and the rows a tile wastes.

    memory, compute: share of peak bandwidth and of peak flops (0 to 1). stream_bytes_s: what one
    multiprocessor pulls at most [B/s]; fill_tokens: a product with n rows costs as much arithmetic as
    n + fill_tokens full ones.
    """

    memory: Number
    stream_bytes_s: Number
    compute: Number
    fill_tokens: Number


@dataclass(frozen=True, slots=True)
class Loads:
    """What one GPU of a replica does per token, per sequence and per step.

    quantised / plain / head / expert: matrix products by kernel family. Context bytes are read by
    decode attention: ``context_bytes_per_token`` for every cached token, ``window_bytes_per_token``
    for at most ``window_tokens`` of each sequence, ``state_bytes_per_sequence`` whatever its length.
    pair_flops: attention flops per (new token, attended token) pair in layers without a window.
    activation_bytes_per_token: one pass over the residual stream (and routed copies) of all layers.
    reductions: collectives per step; reduction_bytes_per_token over the busiest link, of local
    tokens; exchange_bytes_per_token likewise of all the replica's tokens (expert dispatch).
    latent_layers: layers with latent attention, plus those with a sparse indexer.
    spread_layers: expert layers whose experts are spread whole over ranks (expert parallelism).
    uncaptured: share of the steps without prompts that the host launches kernel by kernel (eager: 1).
    draft_layers: layers that draft, one token after the other: each costs a layer of the model and a head.
    """

    quantised: Gemm
    plain: Gemm
    head: Gemm
    expert: Gemm
    experts: Number
    experts_per_token: Number
    expert_ranks: Number
    expert_token_share: Number
    context_bytes_per_token: Number
    context_flops_per_token: Number
    window_tokens: Number
    window_bytes_per_token: Number
    state_bytes_per_sequence: Number
    pair_flops: Number
    window_pair_flops: Number
    attention_peak_flops_s: Number
    activation_bytes_per_token: Number
    reductions: Number
    reduction_bytes_per_token: Number
    exchanges: Number
    exchange_bytes_per_token: Number
    link_bytes_s: Number
    link_hops: Number
    bandwidth_bytes_s: Number
    multiprocessors: Number
    layers: Number
    expert_layers: Number
    latent_layers: Number
    recurrent_layers: Number
    spread_layers: Number
    data_parallel: Number
    pipeline_parallel: Number
    tokens_per_sequence: Number
    uncaptured: Number = 0.0
    draft_layers: Number = 0.0


@dataclass(frozen=True, slots=True)
class Factors:
    """The calibrated factors of one deployment; ``catalogs/calibration/priors.yaml`` defines each."""

    quantised: GemmFactors
    plain: GemmFactors
    expert: GemmFactors
    expert_skew: Number
    rank_imbalance: Number
    attention_memory: Number
    attention_stream_bytes_s: Number
    attention_compute: Number
    activation_passes: Number
    collective_latency_s: Number
    collective_bandwidth: Number
    kernel_gap_s: Number
    layer_kernels: Number
    expert_layer_kernels: Number
    latent_layer_kernels: Number
    recurrent_layer_kernels: Number
    spread_layer_kernels: Number
    step_overhead_s: Number
    sequence_overhead_s: Number
    prefill_step_overhead_s: Number
    prefill_layer_launch_s: Number
    eager_layer_launch_s: Number
    overlap: Number
    admission_s: Number
    delivery_steps: Number


def step_times(loads: Loads, factors: Factors, batch: StepBatch) -> StepTimes:
    """Return the parts of one step [s].

    Every pipeline stage works on its share of the batch while the others do theirs, so a token
    takes ``pipeline_parallel`` times one stage's step.
    """
    w, f = loads, factors
    ranks = w.data_parallel * w.pipeline_parallel
    sequences = batch.decode_sequences / ranks
    prompt_tokens = batch.prefill_tokens / ranks
    tokens = sequences * w.tokens_per_sequence + prompt_tokens
    shared_tokens = (
        sequences * w.tokens_per_sequence * w.expert_token_share
        + prompt_tokens * _ranks_with_prompts(w, batch)
    )
    prefilling = prompt_tokens / (prompt_tokens + 1.0)
    bandwidth = w.bandwidth_bytes_s
    p = f.overlap

    weights: Number = 0.0
    compute: Number = 0.0
    linear: Number = 0.0
    head: Number = 0.0
    for gemm, kind, rows in (
        (w.quantised, f.quantised, tokens),
        (w.plain, f.plain, tokens),
        (w.head, f.plain, batch.sampled_tokens / ranks * w.tokens_per_sequence),
    ):
        read = gemm.weight_bytes * _seconds_per_byte(w, kind.memory, kind.stream_bytes_s)
        arithmetic = (
            gemm.flops_per_token * (rows + kind.fill_tokens) / (gemm.peak_flops_s * kind.compute)
        )
        weights, compute = weights + read, compute + arithmetic
        part = _either(read, arithmetic, p)
        linear = linear + part
        if gemm is w.head:
            head = part

    hit, imbalance = expert_hits(w, f, shared_tokens)
    per_byte = _seconds_per_byte(w, f.expert.memory, f.expert.stream_bytes_s)
    read = w.expert.weight_bytes * hit * imbalance * per_byte
    rows = shared_tokens * imbalance + f.expert.fill_tokens * hit * w.experts / w.experts_per_token
    arithmetic = w.expert.flops_per_token * rows / (w.expert.peak_flops_s * f.expert.compute)
    weights, compute = weights + read, compute + arithmetic
    linear = linear + _either(read, arithmetic, p)

    kv_s, attention = _attention(w, f, batch, sequences, prompt_tokens, ranks)
    moved = tokens * w.activation_bytes_per_token * f.activation_passes / bandwidth
    collectives = _collectives(w, f, tokens, shared_tokens)
    kernels = (
        w.layers * f.layer_kernels
        + w.expert_layers * f.expert_layer_kernels
        + w.latent_layers * f.latent_layer_kernels
        + w.recurrent_layers * f.recurrent_layer_kernels
        + w.spread_layers * f.spread_layer_kernels
    )
    overhead = (
        f.step_overhead_s
        + sequences * f.sequence_overhead_s
        + kernels * f.kernel_gap_s
        + prefilling * f.prefill_step_overhead_s
    )
    device = linear + attention + moved + collectives + overhead
    one_layer = (device - head) / w.layers
    deciding = sequences / (sequences + 1e-9)
    device = device + deciding * w.draft_layers * (one_layer + head)
    alone = (1.0 - prefilling) * w.uncaptured * f.eager_layer_launch_s
    launch = w.layers * (prefilling * f.prefill_layer_launch_s + alone)
    stages = w.pipeline_parallel
    return StepTimes(
        weights_s=weights * stages,
        kv_s=kv_s * stages,
        compute_s=(compute + moved + attention - kv_s) * stages,
        collectives_s=collectives * stages,
        overhead_s=overhead * stages,
        total_s=_either(device, launch, p) * stages,
    )


def beside_kernels(loads: Loads, factors: Factors, batch: StepBatch, seconds: Number) -> Number:
    """A step priced by other means, with its drafts and with the launches of a step without graphs [s].

    Each drafted token takes a layer's share of the step and a pass over the head.
    """
    w, f = loads, factors
    head = w.head.weight_bytes / (w.bandwidth_bytes_s * f.plain.memory)
    deciding = batch.decode_sequences / (batch.decode_sequences + 1e-9)
    drafts = deciding * w.draft_layers * (seconds / w.layers + head)
    prefilling = batch.prefill_tokens / (batch.prefill_tokens + 1.0)
    launch = (1.0 - prefilling) * w.uncaptured * w.layers * f.eager_layer_launch_s
    return _either(seconds + drafts, launch, f.overlap)


def beside_launches(loads: Loads, factors: Factors, seconds: Number, share: Number) -> Number:
    """A step of which the host launches a ``share`` layer by layer [s].

    The device works while the host launches: the step is the longer of both, as ``factors.overlap`` says.
    """
    launch = loads.layers * loads.pipeline_parallel * factors.eager_layer_launch_s
    return seconds + share * (_either(seconds, launch, factors.overlap) - seconds)


def expert_hits(loads: Loads, factors: Factors, tokens: Number) -> tuple[Number, Number]:
    """Return the share of a rank's experts hit by ``tokens``, and the slowest rank's excess.

    Balanced routing hits ``1 - (1 - k/E)**n``; skewed routing behaves like ``n**skew`` tokens, and
    one token always hits k: fewer than one a pipeline stage are one that passes stage by stage. The
    excess over the mean rank shrinks with the routed rows per rank, as the maximum of random counts
    does: ``1 + imbalance * sqrt((r - 1) / (r + rows))``.
    """
    share = loads.experts_per_token / loads.experts
    hit = 1.0 - (1.0 - share) ** (_at_least_one(tokens) ** factors.expert_skew)
    rows = tokens * loads.experts_per_token
    others = loads.expert_ranks - 1.0
    excess = factors.rank_imbalance * (others / (loads.expert_ranks + rows)) ** 0.5
    return hit, 1.0 + excess


def _at_least_one(tokens: Number) -> Number:
    if isinstance(tokens, np.ndarray):
        many: NDArray[np.float64] = np.maximum(tokens, 1.0)
        return many
    return max(tokens, 1.0)


def _ranks_with_prompts(w: Loads, batch: StepBatch) -> Number:
    """Attention-DP ranks that prefill in this step: at most one per prompt, all when not given.

    The batch counts the busiest rank's prompt tokens times the ranks; experts see the real ones.
    """
    prompts = batch.prefill_sequences
    text = prompts / (prompts + 1e-6)
    some: Number = -smaller(-smaller(w.expert_token_share, prompts), -1.0)
    return text * some + (1.0 - text) * w.expert_token_share


def _seconds_per_byte(w: Loads, memory: Number, stream_bytes_s: Number) -> Number:
    """Time per byte read [s/B]: the memory's and the multiprocessors', one after the other.

    A multiprocessor has only so many loads in flight, so a device with much bandwidth for each of
    them reaches a smaller share of it: ``1 / (bandwidth * share) + 1 / (multiprocessors * stream)``.
    """
    return 1.0 / (w.bandwidth_bytes_s * memory) + 1.0 / (w.multiprocessors * stream_bytes_s)


def _attention(
    w: Loads, f: Factors, batch: StepBatch, sequences: Number, prompt_tokens: Number, ranks: Number
) -> tuple[Number, Number]:
    context = batch.decode_context_tokens / ranks
    per_sequence = context / (sequences + 1e-9)
    windowed = sequences * smaller(per_sequence, w.window_tokens)
    cached = (
        context * w.context_bytes_per_token
        + windowed * w.window_bytes_per_token
        + sequences * w.state_bytes_per_sequence
    )
    read = cached * _seconds_per_byte(w, f.attention_memory, f.attention_stream_bytes_s)
    peak = w.attention_peak_flops_s * f.attention_compute
    scored = context * w.context_flops_per_token * w.tokens_per_sequence
    decode = _either(read, scored / peak, f.overlap)
    pairs = batch.prefill_context_tokens / ranks
    attended = pairs / (prompt_tokens + 1e-9)
    near = prompt_tokens * smaller(attended, w.window_tokens)
    prefill = (pairs * w.pair_flops + near * w.window_pair_flops) / peak
    return read, decode + prefill


def _collectives(w: Loads, f: Factors, tokens: Number, shared_tokens: Number) -> Number:
    """Latency plus bytes over the link, for reductions and for expert exchanges."""
    sent = tokens * w.reduction_bytes_per_token + shared_tokens * w.exchange_bytes_per_token
    latency = (w.reductions + w.exchanges) * w.link_hops * f.collective_latency_s
    return latency + sent / (w.link_bytes_s * f.collective_bandwidth)


def smaller(a: Number, b: Number) -> Number:
    """Return the lesser of two numbers or arrays, element by element."""
    gap: Number = ((a - b) ** 2) ** 0.5
    return 0.5 * (a + b - gap)


def _either(a: Number, b: Number, p: Number) -> Number:
    """Smooth maximum ``(a**p + b**p) ** (1/p)``, never below either."""
    greater: Number = (a**p + b**p) ** (1.0 / p)
    return greater
