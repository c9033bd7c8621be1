"""A generative model as an engine's pooling runner loads it: the same body without a language-model head.

Sources: vLLM ``model_executor/models/adapters.py`` (``as_embedding_model`` and ``as_seq_cls_model`` drop
``lm_head``) and SGLang ``--is-embedding``. A score or class head of a few rows is left out: it is
thousands of values beside billions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from planner.catalog.model import ModelSpec, SoftmaxAttention

Pooled = Literal["none", "score"]


def pooling_model(model: ModelSpec, head: Pooled) -> ModelSpec:
    """``model`` with prompts pooled: ``head`` "none" gives embeddings, "score" scores or classes.

    A model that has no language-model head already is taken as it is. Tied embeddings stay as the
    table that tokens are looked up in.
    """
    if model.head != "lm":
        return model
    outer = tuple(t for t in model.outer if t.klass != "head")
    return replace(model, outer=outer, mtp=(), tied_embeddings=False, head=head)


def is_encoder(model: ModelSpec) -> bool:
    """Whether no layer keeps a cache: every token sees all others, and a prompt is worked on whole."""
    mixers = [layer.mixer for layer in model.layers if layer.mixer is not None]
    return bool(mixers) and all(isinstance(m, SoftmaxAttention) and m.shares_kv for m in mixers)
