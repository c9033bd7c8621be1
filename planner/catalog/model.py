"""What a model is: its layers, as data. Built from any ``config.json`` of a known architecture.

Nothing here counts parameters or bytes; ``planner.sizing`` does, from these shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class SparseIndexer:
    """A lightweight attention that picks ``top_k`` past tokens (DeepSeek-V3.2's "lightning indexer").

    ``pool``: tokens whose keys are pooled into one entry of its cache. ``shared``: the layer follows
    the choice of an earlier layer's indexer, with no weights and no cache of its own.
    """

    heads: int
    head_dim: int
    top_k: int
    pool: int = 1
    shared: bool = False


@dataclass(frozen=True, slots=True)
class SoftmaxAttention:
    """MHA, MQA or GQA. ``window``: tokens kept and attended (sliding or chunked), None = all.

    ``shares_kv``: reads an earlier layer's KV cache and stores none. ``compress_ratio``: that many
    tokens are pooled into one cache entry (1 = none). ``keys_equal_values``: K and V are one entry of
    the cache; ``rotary_values`` of it stay in 16 bits in an FP8 cache.
    """

    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int
    window: int | None = None
    shares_kv: bool = False
    keys_equal_values: bool = False
    compress_ratio: int = 1
    indexer: SparseIndexer | None = None
    rotary_values: int = 0


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """MLA: one compressed latent per token, shared by all heads."""

    heads: int
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    indexer: SparseIndexer | None = None


@dataclass(frozen=True, slots=True)
class RecurrentMixer:
    """Linear attention, gated delta rule or Mamba: a constant state per sequence instead of a cache.

    ``state_values``: recurrent state [values per sequence per layer]; ``conv_values``: convolution
    window state [values]; ``state_bytes_per_value``: engines keep the state in FP32 or 16 bits.
    """

    kind: str
    heads: int
    state_values: int
    conv_values: int
    state_bytes_per_value: int = 4


Mixer = SoftmaxAttention | LatentAttention | RecurrentMixer


@dataclass(frozen=True, slots=True)
class DenseMlp:
    """A feed-forward block; ``gated`` has three matrices (SwiGLU), otherwise two."""

    width: int
    gated: bool = True


@dataclass(frozen=True, slots=True)
class MoeMlp:
    """Routed experts, ``top_k`` of ``experts`` per token, beside ``shared_width`` of shared experts.

    ``latent``: width of the compressed space the routed experts work in; 0 = the hidden size.
    """

    experts: int
    top_k: int
    width: int
    shared_width: int = 0
    gated: bool = True
    latent: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """``copies`` equal matrices of ``rows`` x ``cols`` [values] (rows = output, cols = input).

    ``klass`` decides precision and role: embedding, head, attention, mlp, expert, shared_expert,
    router, gate, norm, bias, conv, recurrent, indexer, vision, mtp. ``shard`` decides what tensor parallelism
    does: "split" (divided by TP), "kv" (divided by min(TP, kv heads)), "vocab" (rows padded and
    divided), "expert" (divided by EP or by TP inside each expert), "replicated". ``parts``: the most
    pieces a "split" or "kv" tensor can be cut into (its heads); 0 = no limit. ``fused``: tensors of a
    layer with the same non-empty label live in one buffer (q, k and v; gate and up). ``stored``: the
    format a checkpoint keeps this one in, where it departs from its class's.
    """

    name: str
    klass: str
    rows: int
    cols: int
    copies: int = 1
    shard: str = "split"
    parts: int = 0
    fused: str = ""
    stored: str = ""

    @property
    def values(self) -> int:
        """How many numbers all copies hold."""
        return self.rows * self.cols * self.copies


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: a token mixer (or None), a feed-forward (or None), and its tensors."""

    mixer: Mixer | None
    mlp: DenseMlp | MoeMlp | None
    tensors: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A language model as the planner sees it.

    ``layers`` holds one entry per decoder layer, in order. ``outer`` holds embeddings, final norm
    and head; ``mtp`` the multi-token-prediction layers' tensors; ``vision`` the tower's.
    ``native_weights`` is the checkpoint's own format ("bf16", "fp8_block", "mxfp4", "nvfp4", ...);
    ``native_classes`` names the tensor classes it stores otherwise, ("attention", "bf16") for example.
    ``native_kv`` is the KV format the checkpoint was calibrated for ("" = none). ``rope_values``: the
    rotary table an engine builds at start [values]. ``note`` says what is approximate, if anything.
    ``head``: "lm" (logits over the vocabulary), "score" (a classifier's or reward model's) or "none".

    Hashing looks at the name alone, so that a model is a cheap key of a cache.
    """

    name: str
    architecture: str
    hidden_size: int
    vocab_size: int
    tied_embeddings: bool
    layers: tuple[Layer, ...]
    outer: tuple[Tensor, ...]
    mtp: tuple[Tensor, ...] = ()
    vision: tuple[Tensor, ...] = ()
    max_context_tokens: int = 0
    dtype: str = "bf16"
    native_weights: str = "bf16"
    source: str = ""
    aliases: tuple[str, ...] = field(default=())
    native_classes: tuple[tuple[str, str], ...] = ()
    native_kv: str = ""
    rope_values: int = 0
    note: str = ""
    head: str = "lm"

    def __hash__(self) -> int:
        return hash((self.name, self.architecture, self.native_weights))

    @property
    def token_embedding(self) -> Tensor | None:
        """The table a token's row is looked up in, the head of tied models; None where there is none.

        Positions, token types and per-layer embeddings are tables of their own, which follow it.
        """
        return next((tensor for tensor in self.outer if tensor.klass == "embedding"), None)

    @property
    def head_tensors(self) -> tuple[Tensor, ...]:
        """What turns a hidden state into logits or scores, read by every step that does so."""
        if self.head == "none":
            return ()
        own = tuple(tensor for tensor in self.outer if tensor.klass == "head")
        shared = self.token_embedding if self.tied_embeddings and self.head == "lm" else None
        return own if shared is None else (shared, *own)

    def requested_as(self, name: str) -> str:
        """The checkpoint meant by ``name``: that repository where it is an alias, else the model's own.

        Several checkpoints share one config (a base model and its fine-tunes); short names are labels.
        """
        repositories = (a for a in self.aliases if "/" in a and a.lower() == name.lower())
        return next(repositories, self.name)


@lru_cache(maxsize=256)
def layer_counts(model: ModelSpec) -> tuple[tuple[Layer, int], ...]:
    """Each distinct decoder layer of a model and how often it occurs, in the order of their first."""
    counts: dict[int, list[Layer]] = {}
    for layer in model.layers:
        counts.setdefault(id(layer), []).append(layer)
    return tuple((equal[0], len(equal)) for equal in counts.values())


def distinct_layers(model: ModelSpec) -> tuple[Layer, ...]:
    """The decoder layers of a model that differ, each once: most models have one or two."""
    return tuple(layer for layer, _ in layer_counts(model))
