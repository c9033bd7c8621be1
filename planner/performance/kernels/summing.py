"""The kernels of all layers of a deployment, added up into the curves of ``components.Components``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from planner.catalog.model import (
    LatentAttention,
    Layer,
    Mixer,
    ModelSpec,
    RecurrentMixer,
    SoftmaxAttention,
    layer_counts,
)
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision, sixteen_bit
from planner.performance.kernels import lookup
from planner.performance.kernels.attended import (
    NO_MORE,
    measured_more,
    over_attended,
    pairs_more,
    window_more,
)
from planner.performance.kernels.components import CONTEXTS, SEQUENCES, Components
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.ladders import NS, on_log, rising
from planner.performance.kernels.modules import module_key
from planner.performance.kernels.product_sums import (
    MODULE_CLASSES,
    UnknownKernel,
    product_sums,
)
from planner.performance.kernels.prompts import (
    ATTENDED,
    NEW,
    PROMPT_SEQUENCES,
    PROMPTS,
    TINY_S,
    PromptSeconds,
)
from planner.performance.kernels.recurrences import recurrence
from planner.performance.kernels.shapes import Product, kernel_names, products
from planner.performance.kernels.table import KernelTable, kernel_table
from planner.performance.loads import kernel_formats, loads_of
from planner.sizing.precision import stored_format


@lru_cache(maxsize=2048)
def components(deployment: Deployment, root: Path) -> Components | None:
    """Return the components of a deployment; None where its kernels were not measured.

    Those of a whole GPU are not those of a part of it.
    """
    if deployment.gpu.is_part:
        return None
    table = kernel_table(root, deployment.gpu.name, deployment.engine.name)
    return KernelSum(deployment, table).components() if table is not None else None


class KernelSum:
    """Adds up the attention of all layers, beside the products that other KV caches share."""

    def __init__(self, deployment: Deployment, table: KernelTable) -> None:
        self._d, self._table = deployment, table
        self._decode = np.zeros((len(SEQUENCES), len(CONTEXTS)))
        self._by_pairs = np.zeros((len(PROMPT_SEQUENCES), len(PROMPTS)))
        self._by_tokens = np.zeros((len(NEW), len(ATTENDED)))
        self._least_decode = np.zeros_like(self._decode)
        self._least_prompt = np.zeros_like(self._by_tokens)
        self._timed = True
        self._kv = "bfloat16" if deployment.kv_cache.bits >= 16 else "fp8"
        self._bandwidth = deployment.gpu.bandwidth_bytes_s
        self._width = 1.0 + deployment.settings.draft_tokens

    def components(self) -> Components | None:
        try:
            modules = tuple(self._attends(*layer) for layer in products(self._d))
            found = product_sums(self._d, self._table, modules)
        except UnknownKernel:
            return None
        of_least = (found.least_local, found.least_shared, found.least_head)
        prompt = self._prompts(np.zeros_like(self._by_pairs), self._least_prompt)
        least = self._gathered(*of_least, found.exchange, self._least_decode, prompt)
        whole = (found.local, found.shared, found.head)
        prompt = self._prompts(self._by_pairs, self._by_tokens)
        return self._gathered(*whole, found.exchange, self._decode, prompt, least)

    def _prompts(self, by_pairs: Floats, by_tokens: Floats) -> PromptSeconds:
        return PromptSeconds(self._of_stage(by_pairs), self._of_stage(by_tokens))

    def _of_stage(self, grid: Floats) -> Floats:
        """A grid over all layers, made to rise along both ladders, for one pipeline stage."""
        return rising(rising(grid / self._d.pipeline_parallel + TINY_S).T).T

    def _gathered(
        self,
        local: Floats,
        shared: Floats,
        logits: Floats,
        exchange: Floats,
        decode: Floats,
        prompt: PromptSeconds,
        least: Components | None = None,
    ) -> Components:
        stages = float(self._d.pipeline_parallel)
        return Components(
            loads=loads_of(self._d),
            local=local,
            shared=shared,
            head=logits,
            decode=self._of_stage(decode),
            prompt=prompt,
            exchange=exchange,
            norms=_count(self._d.model, _normalises) / stages,
            recurrent=_count(self._d.model, _recurs) / stages,
            timed=self._timed,
            least=least,
        )

    def _attends(self, layer: Layer, count: int, dense_products: Sequence[Product]) -> bool:
        """Add a layer's attention; whether it was measured as a whole, its products included."""
        if layer.mixer is None:
            return False
        if self._module(layer, count, dense_products):
            return True
        self._attention(layer, layer.mixer, count)
        return False

    def _module(self, layer: Layer, count: int, dense_products: Sequence[Product]) -> bool:
        """Add a latent or sparse attention measured as a whole; whether there is one."""
        mixer = layer.mixer
        key = module_key(self._d.model.hidden_size, mixer)
        if key is None or isinstance(mixer, RecurrentMixer) or mixer is None:
            return False
        dense, _ = kernel_formats(self._d)
        stored = next(
            (stored_format(t, self._d.weights) for t in layer.tensors if t.klass == "attention"),
            dense,
        )
        names = kernel_names(stored, self._d, routed=False) or ("bfloat16",)
        heads = max(1, mixer.heads // self._d.tensor_parallel)
        decode = lookup.module(self._table, "decode", self._kv, names[0], key, heads)
        prompt = lookup.module(self._table, "prompt", self._kv, names[0], key, heads)
        if decode is None or prompt is None:
            return False
        floor = self._module_least(dense_products, mixer)
        seconds = NS * np.exp(decode[1])
        verified = self._verified(heads) if mixer.indexer is None else 0.0
        seconds += verified + self._more_tokens(seconds[:, 0])[:, None]
        self._decode += count * np.maximum(seconds, floor)
        self._least_decode += count * floor
        least = self._module_arithmetic(dense_products)
        whole = np.maximum(NS * np.exp(prompt[1]), least)
        self._least_prompt += count * over_attended(least, NO_MORE)
        later = lookup.module(self._table, "later", self._kv, names[0], key, heads)
        if later is not None:
            more = measured_more(later[0][0], NS * np.exp(later[1]))
        else:
            more = pairs_more(self._latent_alone(mixer, whole[0]))
        self._by_tokens += count * over_attended(whole, more)
        return True

    def _latent_alone(self, mixer: SoftmaxAttention | LatentAttention, whole: Floats) -> Floats:
        """Seconds of a module's attention without its projections over PROMPTS; all where not measured."""
        heads = max(1, mixer.heads // self._d.tensor_parallel)
        found = lookup.by_heads(self._table, "prompt_mla", self._kv, heads)
        dense = isinstance(mixer, LatentAttention) and mixer.indexer is None
        if found is None or not dense:
            return whole
        alone: Floats = np.minimum(NS * np.exp(found[1][0]), whole)
        return alone

    def _module_arithmetic(self, dense_products: Sequence[Product]) -> Floats:
        """Arithmetic of the module's projections at peak [s]."""
        gpu, seconds = self._d.gpu, 0.0
        for product in dense_products:
            if product.klass in MODULE_CLASSES:
                stored = product.stored
                precision = sixteen_bit(gpu) if stored is None else compute_precision(stored, gpu)
                seconds += 2.0 * product.rows * product.columns / gpu.peak_flops(precision)
        least: Floats = PROMPT_SEQUENCES[:, None] * PROMPTS[None, :] * seconds
        return least

    def _module_least(self, dense_products: Sequence[Product], mixer: Mixer) -> Floats:
        """Bytes of the module's weights and of the cache at peak bandwidth [s]."""
        weights = 0.0
        for product in dense_products:
            if product.klass in MODULE_CLASSES:
                bits = 16.0 if product.stored is None else float(product.stored.bits)
                weights += product.rows * product.columns * bits / 8
        cached = 0.0
        if isinstance(mixer, LatentAttention) and mixer.indexer is None:
            values = mixer.kv_lora_rank + mixer.qk_rope_head_dim
            cached = values * self._d.kv_cache.bytes_per_value
        read = weights + SEQUENCES[:, None] * CONTEXTS[None, :] * cached
        least: Floats = read / self._bandwidth
        return least

    def _verified(self, heads: int) -> Floats:
        """What attention over a latent takes longer where a step checks several tokens a sequence [s].

        The heads of all of them read the same cache: ``width`` tokens cost what as many times the heads do.
        """
        if self._width == 1:
            return np.zeros_like(self._decode)
        one = lookup.latent_reads(self._table, self._kv, heads)
        all_heads = lookup.latent_reads(self._table, self._kv, round(heads * self._width))
        if one is None or all_heads is None:
            return np.zeros_like(self._decode)
        more: Floats = NS * np.maximum(all_heads - one, 0.0)
        return more

    def _more_tokens(self, seconds: Floats) -> Floats:
        """What ``width`` tokens a sequence take longer than one, of times over sequences [s]."""
        if self._width == 1:
            return np.zeros_like(seconds)
        found: Floats = on_log(SEQUENCES, np.log(seconds / NS), SEQUENCES * self._width) - seconds
        return np.maximum(found, 0.0)

    def _attention(self, layer: Layer, mixer: Mixer, count: int) -> None:
        if (
            isinstance(mixer, SoftmaxAttention)
            and mixer.indexer is None
            and mixer.compress_ratio == 1
        ):
            self._heads(mixer, count)
        elif isinstance(mixer, LatentAttention) and mixer.indexer is None:
            self._latent(mixer, count)
        elif isinstance(mixer, RecurrentMixer):
            found = recurrence(self._d, self._table, layer, mixer)
            self._decode += count * found.decode
            self._by_tokens += count * over_attended(found.prompt, NO_MORE)
            self._timed = self._timed and found.measured
        else:
            raise UnknownKernel

    def _heads(self, mixer: SoftmaxAttention, count: int) -> None:
        tp = self._d.tensor_parallel
        shape = lookup.Heads(
            max(1, mixer.heads // tp),
            max(1, mixer.kv_heads // tp),
            mixer.head_dim,
            mixer.window or 0,
        )
        decode = self._attention_ns("decode_attention", shape)
        prompt = self._attention_ns("prompt_attention", shape)
        if decode is None or prompt is None:
            raise UnknownKernel
        values = shape.kv_heads * (mixer.head_dim + mixer.v_head_dim)
        read = values * self._d.kv_cache.bytes_per_value / self._bandwidth
        length = CONTEXTS if mixer.window is None else np.minimum(CONTEXTS, mixer.window)
        floor = SEQUENCES[:, None] * length[None, :] * read
        self._decode += count * np.maximum(NS * decode, floor)
        self._least_decode += count * floor
        if mixer.window is None:
            self._by_pairs += count * NS * prompt
            return
        more = window_more(NS * prompt[0], mixer.window)
        self._by_tokens += count * over_attended(NS * prompt, more)

    def _attention_ns(self, name: str, shape: lookup.Heads) -> Floats | None:
        """Nanoseconds of an attention kernel over its grid, found once for each table."""
        key, known = (name, self._kv, shape), self._table.grids
        if key not in known:
            found = lookup.attention(self._table, name, self._kv, shape)
            known[key] = None if found is None else np.exp(found[1])
        return known[key]

    def _latent(self, mixer: LatentAttention, count: int) -> None:
        """Attention over the latent and the two products that absorb its projections."""
        heads = max(1, mixer.heads // self._d.tensor_parallel)
        decode = lookup.by_heads(self._table, "decode_mla", self._kv, heads)
        prompt = lookup.by_heads(self._table, "prompt_mla", self._kv, heads)
        merge = lookup.by_heads(self._table, "mla_bmm", "bfloat16", heads)
        if decode is None or prompt is None or merge is None:
            raise UnknownKernel
        both = 2 * on_log(merge[0][0], merge[1], SEQUENCES * self._width)
        values = mixer.kv_lora_rank + mixer.qk_rope_head_dim
        cached = values * self._d.kv_cache.bytes_per_value / self._bandwidth
        least = SEQUENCES[:, None] * CONTEXTS[None, :] * cached
        seconds = NS * np.exp(decode[1]) + self._verified(heads) + both[:, None]
        self._decode += count * np.maximum(seconds, least)
        self._least_decode += count * least
        self._by_pairs += count * NS * np.exp(prompt[1])


@lru_cache(maxsize=128)
def _count(model: ModelSpec, holds: Callable[[Layer], bool]) -> int:
    """How many layers of a model something holds of."""
    return sum(count for layer, count in layer_counts(model) if holds(layer))


def _recurs(layer: Layer) -> bool:
    return isinstance(layer.mixer, RecurrentMixer)


def _normalises(layer: Layer) -> bool:
    """Whether queries and keys pass a norm of their own outside a measured module."""
    names = [t.name for t in layer.tensors if t.klass == "norm"]
    return any("q_norm" in name for name in names) and any("k_norm" in name for name in names)
