"""What a checkpoint ends in: a language-model head, a score head, or nothing.

Pooling and reward classes hold a known decoder without its head; classifiers and reward models add a
linear layer over the hidden state (vLLM ``adapters.as_embedding_model``, ``as_seq_cls_model``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.catalog.architectures.blocks import Tensors, linear
from planner.catalog.architectures.body import Body
from planner.catalog.architectures.class_table import Head
from planner.catalog.architectures.fields import ConfigFields

BASES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
DEFAULT_LABELS = 2  # Hugging Face transformers: num_labels without id2label


@dataclass(frozen=True, slots=True)
class SuffixRule:
    """Classes that end in ``suffix`` have their base class's body and this head."""

    suffix: str
    head: Head
    two_layers: bool = False


SUFFIXES = (
    SuffixRule("ForSequenceClassification", "score"),
    SuffixRule("ForTokenClassification", "score"),
    SuffixRule("ForClassification", "score"),
    SuffixRule("ClassificationModel", "score"),
    SuffixRule("ForProcessRewardModel", "score", two_layers=True),
    SuffixRule("ForRewardModel", "score", two_layers=True),
    SuffixRule("RewardModel", "score", two_layers=True),
    SuffixRule("ForTextEmbedding", "none"),
    SuffixRule("BidirectionalModel", "none"),
    SuffixRule("EmbeddingModel", "none"),
    SuffixRule("TextModel", "none"),
    SuffixRule("Model", "none"),
)


def base_of(name: str, known: frozenset[str]) -> tuple[str, SuffixRule] | None:
    """The known class that ``name`` is a headless or scoring variant of, with the rule."""
    for rule in SUFFIXES:
        if not name.endswith(rule.suffix):
            continue
        stem = name.removesuffix(rule.suffix)
        for base in BASES:
            if stem + base in known:
                return stem + base, rule
    return None


def without_head(body: Body) -> Body:
    """The body without its language-model head."""
    kept = tuple(
        tensor
        for tensor in body.outer
        if tensor.klass != "head" and not tensor.name.startswith("lm_head")
    )
    return replace(body, outer=kept, mtp=(), head="none")


def with_score(body: Body, fields: ConfigFields, *, two_layers: bool = False) -> Body:
    """The body with a linear score head; ``two_layers``: a hidden layer before it (Qwen2 reward models)."""
    labels = label_count(fields)
    tensors: Tensors = ()
    if two_layers:
        tensors += linear(
            "score.0", "head", body.hidden, body.hidden, shard="replicated", bias=True
        )
        tensors += linear("score.2", "head", labels, body.hidden, shard="replicated", bias=True)
    else:
        tensors += linear("score", "head", labels, body.hidden, shard="replicated")
    bare = without_head(body)
    return replace(bare, outer=bare.outer + tensors, head="score")


def label_count(fields: ConfigFields) -> int:
    """How many classes a classifier distinguishes."""
    named = fields.section("id2label")
    default = len(named.values) if named and named.values else DEFAULT_LABELS
    return fields.count("num_labels", default=default, maximum=1_000_000)
