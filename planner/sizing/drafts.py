"""What a draft adds to a replica: weights on every rank, a cache beside the model's own.

A draft model is cut by the target's tensor parallel degree and held by every attention-DP rank whole
(vLLM ``draft_tensor_parallel_size``: the target's unless set; SGLang and TensorRT-LLM too); its
tokens lie in the same blocks as the target's. A checkpoint's own prediction layer (MTP) is one layer
of the model, with a cache like that of a layer that keeps every token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from planner.deployment import Deployment
from planner.sizing.cache.kv_cache import growing_layers, kv_layout
from planner.sizing.cache.layout import KvLayout
from planner.sizing.legality import legal_reasons
from planner.sizing.sharding import rank_weight_bytes


def draft_deployment(deployment: Deployment) -> Deployment | None:
    """The draft model laid out on the same GPUs; None where none of its own drafts."""
    draft = deployment.draft
    if draft is None or draft.model is None:
        return None
    return replace(
        deployment,
        model=draft.model,
        weights=draft.weights or deployment.weights,
        expert_parallel=1,
        settings=replace(deployment.settings, draft_tokens=0, draft_acceptance=0.0),
        draft=None,
    )


def draft_weight_bytes(deployment: Deployment) -> float:
    """Bytes [B] of a draft model on one GPU; MTP layers count with the model's own weights."""
    draft = draft_deployment(deployment)
    return rank_weight_bytes(draft) if draft is not None else 0.0


def with_draft(deployment: Deployment, layout: KvLayout) -> KvLayout:
    """The layout of a sequence with the cache that drafting keeps beside the model's own.

    A draft model's whole cache; of the prediction layers one more layer that keeps every token.
    """
    alone = draft_deployment(deployment)
    if alone is not None:
        return with_cache_of(layout, kv_layout(alone))
    if deployment.draft is None or not deployment.predicts_ahead:
        return layout
    growing = growing_layers(deployment.model)
    if not growing:
        return layout
    share = layout.growing_bytes_per_token * (growing + 1) / growing
    return replace(layout, growing_bytes_per_token=share)


def with_cache_of(layout: KvLayout, draft: KvLayout) -> KvLayout:
    """A sequence that keeps its tokens in the caches of two models: every part adds up."""
    windows: defaultdict[int, float] = defaultdict(float)
    for window, per_token in (*layout.windows, *draft.windows):
        windows[window] += per_token
    return replace(
        layout,
        growing_bytes_per_token=layout.growing_bytes_per_token + draft.growing_bytes_per_token,
        windows=tuple(sorted(windows.items())) if draft.windows else layout.windows,
        state_bytes_per_sequence=layout.state_bytes_per_sequence + draft.state_bytes_per_sequence,
    )


def draft_reasons(deployment: Deployment) -> Iterator[str]:
    """Why nothing can draft that way on this layout; nothing where it can."""
    draft = deployment.draft
    if draft is None:
        return
    if deployment.pipeline_parallel > 1:
        yield f"{draft.method} drafts are not run over pipeline stages"
    if draft.method == "mtp" and not deployment.model.mtp:
        yield f"{deployment.model.name} has no prediction layers to draft with"
    alone = draft_deployment(deployment)
    if alone is None:
        return
    joined = next((t for t in alone.model.outer if t.name.startswith("fc.")), None)
    if draft.reads_states and (joined is None or joined.cols % deployment.model.hidden_size):
        yield (
            f"{draft.checkpoint} does not read states of {deployment.model.hidden_size} values, "
            f"as {deployment.model.name} has them"
        )
    if alone.model.vocab_size != deployment.model.vocab_size and draft.method == "draft":
        yield (
            f"{draft.checkpoint} has a vocabulary of {alone.model.vocab_size} tokens, "
            f"{deployment.model.name} one of {deployment.model.vocab_size}"
        )
    yield from (f"{draft.checkpoint}: {reason}" for reason in legal_reasons(alone))
