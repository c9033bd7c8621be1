"""The simple formulas people size with, as their authors state them. The exact answer stands elsewhere.

Every function reproduces one published rule under its own assumptions;
``docs/reference/errata.md`` says where a rule or its published figures are wrong.
GB = 1e9 bytes unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.units import GB, GIB, MIB

BUFFER = 1.2  # 20 % on top, for framework and fragmentation
BYTES_PER_PARAMETER = {"fp32": 4.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5}
FULL_FINE_TUNING_FACTOR = 6.0
LORA_FACTORS = (1.2, 1.5)
SYSTEM_OVERHEAD_GB = 3.0  # of ``estimate_vram_gib``
VLLM_UTILISATION = 0.9
VLLM_RESERVE_GB = 2.0  # of ``vllm_pool_gb``


@dataclass(frozen=True, slots=True)
class QuickEstimate:
    """Weights, KV cache and their sum with the buffer [GB]."""

    weights_gb: float
    kv_gb: float
    total_gb: float


def quick_estimate(
    params: float, bytes_per_value: float, layers: int, hidden: int, seq: int, batch: int
) -> QuickEstimate:
    """``(P D + B S L 2 H D) x 1.2`` [GB]: the KV term assumes as many KV heads as query heads.

    params: P, parameters; bytes_per_value: D, of weights and KV cache [B].
    """
    weights = params * bytes_per_value / GB
    kv = batch * seq * layers * 2 * hidden * bytes_per_value / GB
    return QuickEstimate(weights, kv, (weights + kv) * BUFFER)


def weights_gb(params: float, bytes_per_value: float, redundancy: float = 1.0) -> float:
    """``P D r`` [GB]; ``r`` 1.2 to 1.5 is said to cover KV cache and activations.

    params: P, parameters; bytes_per_value: D [B]; redundancy: r.
    """
    return params * bytes_per_value * redundancy / GB


def full_fine_tuning_gb(params: float, bytes_per_value: float = 2.0) -> float:
    """``P D x 6`` [GB]. Its stated derivation (2 + 2 + 4 bytes) is x 4; mixed-precision Adam takes x 8.

    params: P, parameters; bytes_per_value: D [B].
    """
    return params * bytes_per_value * FULL_FINE_TUNING_FACTOR / GB


def lora_gb(serving_gb: float) -> tuple[float, float]:
    """LoRA as 1.2 to 1.5 times the serving memory [GB].

    serving_gb: memory that serving takes [GB].
    """
    low, high = LORA_FACTORS
    return serving_gb * low, serving_gb * high


def kv_bytes_per_token(
    layers: int, kv_heads: int, head_dim: int, bytes_per_value: float = 2.0
) -> float:
    """``2 L h d D`` [B]: keys and values of every layer.

    bytes_per_value: D, of one stored number [B].
    """
    return 2 * layers * kv_heads * head_dim * bytes_per_value


def vllm_pool_gb(
    gpu_gb: float, utilisation: float, model_gb: float, reserve_gb: float = VLLM_RESERVE_GB
) -> float:
    """KV pool as ``GPU x utilisation - weights - reserve`` [GB].

    gpu_gb: the GPU's memory, model_gb: the weights, reserve_gb: for everything else [GB];
    utilisation: a share.
    """
    return gpu_gb * utilisation - model_gb - reserve_gb


def tokens_in_pool(pool_gb: float, bytes_per_token: float) -> float:
    """Tokens a pool holds, both in decimal units [tokens].

    pool_gb: the KV pool [GB]; bytes_per_token: of KV cache [B].
    """
    return pool_gb * GB / bytes_per_token


def estimate_vram_gib(
    params_billions: float,
    bytes_per_value: float = 2.0,
    layers: int = 32,
    kv_heads: int = 8,
    head_dim: int = 128,
    max_batch_tokens: int = 50_000,
) -> float:
    """Weights and KV in GiB plus 3 for the system; its author prints the sum as "GB".

    params_billions: parameters [1e9]; bytes_per_value: of one stored number [B].
    """
    model = params_billions * GB * bytes_per_value / GIB
    kv = kv_bytes_per_token(layers, kv_heads, head_dim, bytes_per_value) * max_batch_tokens / GIB
    return model + kv + SYSTEM_OVERHEAD_GB


@dataclass(frozen=True, slots=True)
class Advice:
    """One step of the deployment decision tree: the question, whether it holds, and what follows."""

    question: str
    holds: bool
    advice: str


def decision_tree(
    *,
    model_gb: float,
    gpu_gb: float,
    kv_needed_gb: float,
    kv_available_gb: float,
    rate_qps: float | None = None,
    capacity_qps: float | None = None,
) -> tuple[Advice, ...]:
    """The three questions of a deployment, in order: weights on one GPU, KV cache, throughput.

    The throughput step counts only when both rates are given [requests/s].
    model_gb, gpu_gb, kv_needed_gb, kv_available_gb: of weights, GPU and KV cache [GB];
    rate_qps, capacity_qps: [requests/s].
    """
    one_gpu = model_gb <= gpu_gb
    enough_kv = kv_needed_gb <= kv_available_gb
    steps = [
        Advice(
            "do the weights fit on one GPU?",
            one_gpu,
            "quantisation would save more memory" if one_gpu else "use tensor parallelism",
        ),
        Advice(
            "is the KV cache enough for the concurrency?",
            enough_kv,
            "this layout works" if enough_kv else "add GPUs, or shorten the longest sequence",
        ),
    ]
    if rate_qps is not None and capacity_qps is not None:
        holds = rate_qps <= capacity_qps
        advice = "this layout works" if holds else "add replicas (data parallelism)"
        steps.append(Advice("does the throughput meet the request rate?", holds, advice))
    return tuple(steps)


def mib_to_gib(mib: float) -> float:
    """``nvidia-smi`` prints MiB; 16,808 MiB are 16.41 GiB.

    mib: a size [MiB].
    """
    return mib * MIB / GIB
