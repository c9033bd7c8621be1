"""Matrix products, experts, activations and collectives of all layers: what stages and KV caches share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from planner.catalog.model import MoeMlp, layer_counts
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision, sixteen_bit
from planner.performance.kernels import lookup
from planner.performance.kernels.components import COMPONENTS, TOKENS
from planner.performance.kernels.exchange import across_nodes, inside_domain
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.ladders import on_log, on_tokens, rising
from planner.performance.kernels.shapes import Product, head, kernel_names, products
from planner.performance.kernels.table import KernelTable
from planner.performance.loads import blocks_of, kernel_formats, link_of

ACTIVATION_PASSES = 8.0
ROUTED_PASSES = 3.0
MODULE_CLASSES = ("attention", "indexer", "gate")


class UnknownKernel(Exception):
    """A kernel of the deployment has no table."""


@dataclass(frozen=True, slots=True, eq=False)
class ProductSums:
    """Seconds of all stages of a pipeline together, or of one; see ``components.Components`` for the curves.

    least_local, least_shared, least_head: the same at peak bandwidth and arithmetic.
    """

    local: Floats
    shared: Floats
    head: Floats
    exchange: Floats
    least_local: Floats
    least_shared: Floats
    least_head: Floats

    def of_stage(self, stages: float) -> ProductSums:
        """Those of one of ``stages``, made to rise, with numbers over tokens as a row of their own."""
        return ProductSums(
            local=rising(self.local / stages),
            shared=rising(self.shared / stages),
            head=rising(self.head[None, :] / stages),
            exchange=rising(self.exchange[None, :] / stages),
            least_local=rising(self.least_local / stages),
            least_shared=rising(self.least_shared / stages),
            least_head=rising(self.least_head[None, :] / stages),
        )


def product_sums(
    deployment: Deployment, table: KernelTable, modules: tuple[bool, ...]
) -> ProductSums:
    """The sums of one stage of a deployment, added up once whatever the KV cache and the stages.

    ``modules``: of each distinct layer, whether its attention was measured as a whole, products included.
    Raises UnknownKernel.
    """
    d = deployment
    ranks = (d.tensor_parallel, d.data_parallel, d.expert_parallel, d.predicts_ahead)
    key = (d.model, d.gpu, d.engine, d.weights, *ranks, modules)
    stages = float(d.pipeline_parallel)
    return _once(
        table,
        (*key, stages),
        lambda: _once(table, key, lambda: _Adding(d, table).sums(modules)).of_stage(stages),
    )


def _once(
    table: KernelTable, key: tuple[Hashable, ...], add: Callable[[], ProductSums]
) -> ProductSums:
    if key not in table.sums:
        table.sums[key] = add()
    found = table.sums[key]
    assert isinstance(found, ProductSums)
    return found


class _Adding:
    """Adds up the kernels of all layers but those of attention."""

    def __init__(self, deployment: Deployment, table: KernelTable) -> None:
        self._d, self._table = deployment, table
        self._local = np.zeros((len(COMPONENTS), len(TOKENS)))
        self._shared = np.zeros_like(self._local)
        self._least_local = np.zeros_like(self._local)
        self._least_shared = np.zeros_like(self._local)
        self._exchange = np.zeros(len(TOKENS))
        self._bandwidth = deployment.gpu.bandwidth_bytes_s

    def sums(self, modules: tuple[bool, ...]) -> ProductSums:
        for (layer, count, dense), whole in zip(products(self._d), modules, strict=True):
            for product in dense:
                if whole and product.klass in MODULE_CLASSES:
                    continue
                wide = product.stored is None or product.stored.bits >= 16
                seconds, least = self._product(product)
                self._local[1 if wide else 0] += count * seconds
                self._least_local[1 if wide else 0] += count * least
            if isinstance(layer.mlp, MoeMlp):
                self._experts(layer.mlp, count)
        last = head(self._d)
        logits, least_logits = self._product(last) if last else (0 * TOKENS, 0 * TOKENS)
        self._collectives()
        self._activations()
        return ProductSums(
            local=self._local,
            shared=self._shared,
            head=logits,
            exchange=self._exchange,
            least_local=self._least_local,
            least_shared=self._least_shared,
            least_head=least_logits,
        )

    def _product(self, product: Product) -> tuple[Floats, Floats]:
        """Seconds over TOKENS, and the least that the weights' bytes and the arithmetic take."""
        gpu, stored = self._d.gpu, product.stored
        bits = 16.0 if stored is None else float(stored.bits)
        for kernel in kernel_names(stored, self._d, routed=False):
            seconds = self._seconds(kernel, product)
            if seconds is not None:
                break
        else:
            raise UnknownKernel
        precision = sixteen_bit(gpu) if stored is None else compute_precision(stored, gpu)
        values = float(product.rows) * product.columns
        floor = np.maximum(
            values * bits / 8 / self._bandwidth,
            2 * values * TOKENS / gpu.peak_flops(precision),
        )
        return np.maximum(seconds, floor), floor

    def _seconds(self, kernel: str, product: Product) -> Floats | None:
        """Seconds of a product over TOKENS, found once for each table."""
        key, known = (kernel, product.rows, product.columns), self._table.products
        if key not in known:
            found = lookup.product(self._table, *key)
            known[key] = None if found is None else on_tokens(*found)
        return known[key]

    def _experts(self, mlp: MoeMlp, count: int) -> None:
        d = self._d
        _, routed = kernel_formats(d)
        peak = d.gpu.peak_flops(compute_precision(routed, d.gpu))
        ranks = d.tensor_parallel * d.data_parallel
        hidden = mlp.latent or d.model.hidden_size
        shape = lookup.Experts(
            hidden=hidden,
            width=mlp.width,
            top_k=mlp.top_k,
            count=mlp.experts,
            tensor=max(1, ranks // d.expert_parallel),
            spread=d.expert_parallel,
            bytes_per_value=routed.bits / 8,
        )
        names = kernel_names(routed, d, routed=True)
        found = lookup.experts(self._table, names, shape)
        if found is None:
            raise UnknownKernel
        matrices = 3.0 if mlp.gated else 2.0
        values = matrices * hidden * mlp.width * mlp.experts / ranks
        share = mlp.top_k / mlp.experts
        floor = np.maximum(
            share * values * shape.bytes_per_value / self._bandwidth,
            2 * share * values * TOKENS / peak,
        )
        self._shared[2] += count * np.maximum(on_tokens(*found), floor)
        self._least_shared[2] += count * floor

    def _activations(self) -> None:
        """Norms, rotary embedding, activation and quantisation move the residual stream at bandwidth."""
        d = self._d
        message = 2.0 * d.model.hidden_size
        moved = len(d.model.layers) * message * ACTIVATION_PASSES
        self._local[5] += TOKENS * moved / self._bandwidth
        for layer, count in layer_counts(d.model):
            if isinstance(layer.mlp, MoeMlp):
                ranks = d.tensor_parallel * d.data_parallel
                routed = message * layer.mlp.top_k / ranks * ROUTED_PASSES
                self._shared[5] += TOKENS * count * routed / self._bandwidth

    def _collectives(self) -> None:
        """All-reduces inside the tensor-parallel group, and the exchange between attention-DP ranks."""
        d = self._d
        joined = link_of(d)
        hidden = d.model.hidden_size
        moe, blocks = blocks_of(d.model)
        spread = d.data_parallel > 1 and moe > 0
        reductions = (blocks - (moe if spread else 0)) if d.tensor_parallel > 1 else 0
        if reductions:
            reduce = self._message("all_reduce", d.tensor_parallel, hidden)
            self._local[6] += reductions * reduce
        if spread:
            ranks = d.tensor_parallel * d.data_parallel
            if joined.kind == "network":
                self._exchange += moe * across_nodes(d, ranks, joined.bytes_s)
            else:
                passed = inside_domain(d, ranks, joined.bytes_s)
                if passed is None:
                    passed = 2 * self._message("gather", ranks, hidden)
                self._shared[6] += moe * passed

    def _message(self, name: str, ranks: int, hidden: int) -> Floats:
        """Seconds over TOKENS of a collective of ``hidden`` 16-bit values a token."""
        found = lookup.ladder(self._table, name, ranks)
        if found is None:
            raise UnknownKernel
        size, logs = found
        return on_log(size, logs, TOKENS * hidden)
