"""Decode context parallelism: which tokens of a sequence's KV cache a tensor-parallel rank keeps.

KV heads are replicated where tensor parallelism exceeds them, and a latent cache on every rank. With
degree c the ranks that hold the same heads keep every c-th token each: the pool holds c times as many
tokens, and no GPU more is needed (vLLM docs/serving/context_parallel_deployment: c between 1 and TP over KV
heads; SGLang docs/advanced_features/dcp: latent caches alone).
"""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.model import LatentAttention, SoftmaxAttention, distinct_layers
from planner.deployment import Deployment


def context_reasons(deployment: Deployment) -> Iterator[str]:
    """Why an engine cannot divide the contexts of a deployment so; nothing where it is not asked to."""
    degree, engine = deployment.settings.decode_context_parallel, deployment.engine
    if degree == 1:
        return
    tp, known = deployment.tensor_parallel, engine.decode_context
    if tp % degree:
        yield f"decode context parallel {degree} does not divide tensor parallel {tp}"
    if deployment.settings.draft_tokens:
        yield "decode context parallelism is not known to go with drafts (vLLM issue 50391)"
    for layer in distinct_layers(deployment.model):
        mixer = layer.mixer
        if isinstance(mixer, LatentAttention) and mixer.indexer is None:
            if "latent" not in known:
                yield _unknown(engine.name, engine.version, "latent")
        elif isinstance(mixer, SoftmaxAttention) and mixer.window is None and not mixer.indexer:
            if "softmax" not in known:
                yield _unknown(engine.name, engine.version, "softmax")
            copies = tp // mixer.kv_heads
            if copies < degree:
                yield (
                    f"decode context parallel {degree} exceeds the {max(copies, 1)} copies of each KV head "
                    f"that tensor parallel {tp} has of {mixer.kv_heads}"
                )
        elif mixer is not None:
            yield "decode context parallelism is known of full attention alone"


def _unknown(engine: str, version: str, attention: str) -> str:
    return f"{engine} {version} is not known to divide contexts of {attention} attention"
