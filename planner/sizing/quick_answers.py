"""The rule of thumb beside the exact answer, with what is wrong about the published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.sizing.cache.kv_cache import kv_bytes_per_token
from planner.sizing.corrections import corrections
from planner.sizing.model_memory import check_size
from planner.sizing.parameters import count_parameters
from planner.sizing.reference_gpus import gpus_that_hold
from planner.sizing.rules_of_thumb import (
    BUFFER,
    VLLM_UTILISATION,
    Advice,
    QuickEstimate,
    decision_tree,
    quick_estimate,
    tokens_in_pool,
    vllm_pool_gb,
)
from planner.sizing.training.nanochat import NanochatMemory, nanochat_parameters
from planner.units import GB

NANOCHAT_RELEASED_VOCABULARY = 65_536


@dataclass(frozen=True, slots=True)
class QuickPool:
    """The rule's KV pool on one GPU, and what it holds: ``sequences`` of the requested length."""

    pool_gb: float
    bytes_per_token: float
    tokens: float
    sequences: int


@dataclass(frozen=True, slots=True)
class QuickAnswer:
    """The rule's estimate, the GPUs that hold it, and the exact parts [GB] where the model is known.

    ``pool`` and ``steps`` (the decision tree) are there when a GPU was named.
    """

    estimate: QuickEstimate
    params: float
    gpus: tuple[str, ...]
    exact: Mapping[str, float] | None
    pool: QuickPool | None
    steps: tuple[Advice, ...]
    notes: tuple[str, ...]


def quick_answer(
    catalog: Catalog,
    *,
    params: float | None = None,
    bytes_per_value: float = 2.0,
    layers: int | None = None,
    hidden: int | None = None,
    seq: int = 2048,
    batch: int = 1,
    model: ModelSpec | None = None,
    gpu_gb: float | None = None,
) -> QuickAnswer:
    """Apply the quick formula; what is not given comes from ``model``.

    Raises InputError for sizes that cannot be.
    params: parameters of the model; bytes_per_value: of weights and KV cache [B];
    gpu_gb: one GPU's memory [GB].
    """
    if model is not None:
        params = params or float(count_parameters(model).total)
        layers = layers or len(model.layers)
        hidden = hidden or model.hidden_size
    params, layers, hidden = params or 0.0, layers or 0, hidden or 0
    check_size("params", int(params), 10**15)
    for name, value in (("layers", layers), ("hidden", hidden), ("seq", seq), ("batch", batch)):
        check_size(name, value, 10**9)
    estimate = quick_estimate(params, bytes_per_value, layers, hidden, seq, batch)
    exact = None if model is None else _exact(catalog, model, bytes_per_value, seq * batch)
    pool = None
    steps: tuple[Advice, ...] = ()
    notes = [*_notes(estimate, exact), *corrections(catalog, "rule-of-thumb", "precision")]
    if gpu_gb is not None:
        per_token = (exact["kv_gb"] if exact else estimate.kv_gb) * GB / (seq * batch)
        pool = _pool(gpu_gb, estimate.weights_gb, per_token, seq)
        steps = decision_tree(
            model_gb=estimate.weights_gb,
            gpu_gb=gpu_gb,
            kv_needed_gb=estimate.kv_gb,
            kv_available_gb=pool.pool_gb,
        )
        for subject in ("pool", "concurrency"):
            notes += corrections(catalog, "rule-of-thumb", subject)
    gpus = gpus_that_hold(catalog, estimate.total_gb)
    return QuickAnswer(estimate, params, gpus, exact, pool, steps, tuple(notes))


def nanochat_notes(catalog: Catalog, memory: NanochatMemory, max_seq_len: int) -> tuple[str, ...]:
    """What the guide's own figures leave open for this model."""
    released = nanochat_parameters(memory.depth, NANOCHAT_RELEASED_VOCABULARY)
    notes = [
        f"with the released vocabulary of {NANOCHAT_RELEASED_VOCABULARY:,} a d{memory.depth} has "
        f"{released / 1e6:,.1f} M parameters"
    ]
    if max_seq_len != 1024:
        notes.append("the guide keeps 1,024 logit positions at every sequence length")
    return (*corrections(catalog, "nanochat", f"d{memory.depth}"), *notes)


def _pool(gpu_gb: float, model_gb: float, bytes_per_token: float, seq: int) -> QuickPool:
    """``GPU x 0.9 - weights - 2`` [GB], and the tokens in it."""
    pool = max(0.0, vllm_pool_gb(gpu_gb, VLLM_UTILISATION, model_gb))
    tokens = tokens_in_pool(pool, bytes_per_token)
    return QuickPool(pool, bytes_per_token, tokens, int(tokens / seq))


def _exact(
    catalog: Catalog, model: ModelSpec, bytes_per_value: float, tokens: int
) -> dict[str, float]:
    """Exact parameters and KV geometry at the rule's own bytes per value [GB]."""
    weights = count_parameters(model).total * bytes_per_value / GB
    per_token = kv_bytes_per_token(model, catalog.kv_format("bf16")) * bytes_per_value / 2
    kv = per_token * tokens / GB
    return {"weights_gb": weights, "kv_gb": kv, "total_gb": (weights + kv) * BUFFER}


def _notes(estimate: QuickEstimate, exact: Mapping[str, float] | None) -> list[str]:
    if exact is None or exact["kv_gb"] <= 0 or estimate.kv_gb < 1.05 * exact["kv_gb"]:
        return []
    ratio = estimate.kv_gb / exact["kv_gb"]
    return [
        f"the rule's KV cache is {ratio:.1f} times the exact one: it takes every query head for a KV "
        "head and every layer for full attention"
    ]
