"""The rule of thumb beside the exact answer, with what is wrong about the published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.sizing.kv_cache import kv_bytes_per_token
from planner.sizing.model_memory import check_size
from planner.sizing.nanochat import NanochatMemory, nanochat_parameters
from planner.sizing.parameters import count_parameters
from planner.sizing.reference_cards import cards_that_hold
from planner.sizing.rules_of_thumb import (
    BUFFER,
    Advice,
    QuickEstimate,
    decision_tree,
    quick_estimate,
)
from planner.units import GB

NANOCHAT_RELEASED_VOCABULARY = 65_536


@dataclass(frozen=True, slots=True)
class QuickAnswer:
    """The rule's estimate, the cards that hold it, and the exact parts [GB] where the model is known."""

    estimate: QuickEstimate
    params: float
    cards: tuple[str, ...]
    exact: Mapping[str, float] | None
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
    card_gb: float | None = None,
) -> QuickAnswer:
    """Apply the quick formula; what is not given comes from ``model``.

    Raises InputError for sizes that cannot be.
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
    steps: tuple[Advice, ...] = ()
    if card_gb is not None:
        steps = decision_tree(
            model_gb=estimate.weights_gb,
            card_gb=card_gb,
            kv_needed_gb=estimate.kv_gb,
            kv_available_gb=max(0.0, card_gb * 0.9 - estimate.weights_gb),
        )
    return QuickAnswer(
        estimate,
        params,
        cards_that_hold(catalog, estimate.total_gb),
        exact,
        steps,
        tuple(_notes(estimate, exact)),
    )


def nanochat_notes(memory: NanochatMemory, max_seq_len: int) -> tuple[str, ...]:
    """What the guide's own figures leave open for this model."""
    released = nanochat_parameters(memory.depth, NANOCHAT_RELEASED_VOCABULARY)
    notes = [
        f"with the released vocabulary of {NANOCHAT_RELEASED_VOCABULARY:,} a d{memory.depth} has "
        f"{released / 1e6:,.1f} M parameters"
    ]
    if max_seq_len != 1024:
        notes.append("the guide keeps 1,024 logit positions at every sequence length")
    return tuple(notes)


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
