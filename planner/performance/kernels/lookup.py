"""Latencies of a shape from a table: measured, or carried over from measured shapes near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.kernels.table import Floats, KernelTable, Operation

NEIGHBOURS = 3
LAUNCH_NS = 4e3
TYPICAL_BYTES_S, TYPICAL_FLOPS_S = 4e12, 1e15
READS_WITH_ARITHMETIC = 2.0  # of attention over a latent beyond the tabulated heads
MODULES = ("mla", "sparse", "msa", "csa", "hca")


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts of one layer: ``tensor`` ranks share each expert, ``spread`` hold different ones.

    width: values of an expert's inner dimension. bytes_per_value: of its weights [B].
    """

    hidden: int
    width: int
    top_k: int
    count: int
    tensor: int
    spread: int
    bytes_per_value: float

    def work_ns(self, tokens: Floats) -> Floats:
        """Time of weights hit and arithmetic on a typical device, to compare shapes by [ns]."""
        share = self.top_k / self.count
        hit = (1.0 - (1.0 - share) ** (tokens**0.9)) * self.count / self.spread
        matrix = 3.0 * self.hidden * self.width / self.tensor
        read = hit * matrix * self.bytes_per_value / TYPICAL_BYTES_S
        rows = tokens * self.top_k / self.spread
        arithmetic = 2.0 * rows * matrix / TYPICAL_FLOPS_S
        return 1e9 * (read + arithmetic) + LAUNCH_NS


def product(
    table: KernelTable, kernel: str, rows: int, columns: int
) -> tuple[Floats, Floats] | None:
    """Latencies [ln ns] of a (tokens x columns) by (columns x rows) product over a ladder of tokens.

    Between tabulated sizes the logarithm is linear in those of rows and columns; beyond them latency
    grows in proportion. None where the kernel has no table.
    """
    operation = table.get("gemm")
    code = operation.word(kernel) if operation is not None else -1
    if operation is None or code < 0:
        return None
    of_kernel = operation.of_word(code)
    shapes, values = of_kernel.shapes, of_kernel.log_ns
    exact = np.flatnonzero((shapes[:, 0] == rows) & (shapes[:, 1] == columns))
    if len(exact):
        return operation.axes[0], values[exact[0]]
    low, high, share, excess = _bracket(of_kernel.sizes[0], rows)
    left, right, across, more = _bracket(of_kernel.sizes[1], columns)
    total, weights = np.zeros(values.shape[1]), 0.0
    for n, n_weight in ((low, 1 - share), (high, share)):
        for k, k_weight in ((left, 1 - across), (right, across)):
            found = np.flatnonzero((shapes[:, 0] == n) & (shapes[:, 1] == k))
            if len(found) and n_weight * k_weight > 0:
                total += n_weight * k_weight * values[found[0]]
                weights += n_weight * k_weight
    if not weights:
        gaps = np.abs(np.log(shapes / np.array([rows, columns]))).sum(axis=1)
        nearest = int(gaps.argmin())
        grown = float(np.log(rows * columns / np.prod(shapes[nearest].astype(float))))
        return operation.axes[0], values[nearest] + max(grown, 0.0)
    return operation.axes[0], total / weights + excess + more


def _bracket(known: Floats, value: int) -> tuple[float, float, float, float]:
    """The tabulated sizes around ``value``, the upper one's share, and growth beyond the last [ln]."""
    if value >= known[-1]:
        return float(known[-1]), float(known[-1]), 0.0, float(np.log(value / known[-1]))
    if value <= known[0]:
        return float(known[0]), float(known[0]), 0.0, 0.0
    i = int(np.searchsorted(known, value, side="right"))
    low, high = float(known[i - 1]), float(known[i])
    return low, high, float(np.log(value / low) / np.log(high / low)), 0.0


def experts(
    table: KernelTable, kernels: tuple[str, ...], shape: Experts
) -> tuple[Floats, Floats] | None:
    """Latencies [ln ns] of one layer's routed experts over a ladder of all ranks' tokens.

    The fastest of ``kernels``; a shape nobody measured takes its nearest ones', each multiplied by how
    much longer its weights and arithmetic take.
    """
    operation = table.get("moe")
    if operation is None:
        return None
    known = [code for name in kernels if (code := operation.word(name)) >= 0]
    found = [_experts_of(operation, code, shape) for code in known]
    values = [value for value in found if value is not None]
    return (operation.axes[0], np.min(values, axis=0)) if values else None


def _experts_of(operation: Operation, code: int, shape: Experts) -> Floats | None:
    key = (shape.hidden, shape.width, shape.top_k, shape.count, shape.tensor, shape.spread)
    exact = operation.exact(code, *key)
    if exact is not None:
        return exact
    own = operation.rows[:, 0] == code
    if not own.any():
        return None
    rows, values = operation.rows[own].astype(float), operation.log_ns[own]
    hidden, width, top_k, count, tensor, spread = rows[:, 1:].T
    gaps = (
        np.abs(np.log(hidden * width / tensor / (shape.hidden * shape.width / shape.tensor)))
        + np.abs(np.log(count / spread / (shape.count / shape.spread)))
        + np.abs(np.log(top_k / count / (shape.top_k / shape.count)))
        + 0.3 * np.abs(np.log(spread / shape.spread))
        + 0.3 * np.abs(np.log(hidden / shape.hidden))
    )
    nearest = np.argsort(gaps, kind="stable")[:NEIGHBOURS]
    weight = 1.0 / (gaps[nearest] + 0.05)
    tokens = operation.axes[0]
    wanted = shape.work_ns(tokens)
    total = np.zeros(len(tokens))
    for i, share in zip(nearest, weight / weight.sum(), strict=True):
        h, w, k, e, t, s = (int(v) for v in rows[i, 1:])
        near = Experts(h, w, k, e, t, s, shape.bytes_per_value)
        total += share * (values[i] + np.log(wanted / near.work_ns(tokens)))
    return total


@dataclass(frozen=True, slots=True)
class Heads:
    """One GPU's share of an attention layer; window 0 attends to everything."""

    heads: int
    kv_heads: int
    head_dim: int
    window: int


def attention(
    table: KernelTable, name: str, kv_cache: str, shape: Heads
) -> tuple[tuple[Floats, ...], Floats] | None:
    """Latencies [ln ns] over (sequences, context or prompt length) of one layer's attention.

    ``name``: "decode_attention" or "prompt_attention". A shape nobody measured takes the nearest one's
    times the ratio of what is read (decoding) or computed (prompts); a window nobody measured ends the
    context.
    """
    operation = table.get(name)
    if operation is None:
        return None
    code = operation.word(kv_cache)
    if code < 0:
        code = operation.word("bfloat16")
    key = (shape.heads, shape.kv_heads, shape.head_dim)
    exact = operation.exact(code, *key, shape.window)
    if exact is not None:
        return operation.axes, exact
    own = (operation.rows[:, 0] == code) & (operation.rows[:, 4] == 0)
    rows, values = operation.rows[own, 1:4].astype(float), operation.log_ns[own]
    heads, kv_heads, width = rows.T
    gaps = (
        4 * np.abs(np.log(width / shape.head_dim))
        + 2 * np.abs(np.log(heads / kv_heads / (shape.heads / shape.kv_heads)))
        + np.abs(np.log(kv_heads / shape.kv_heads))
    )
    near = int(gaps.argmin())
    work = shape.heads * shape.head_dim / (heads[near] * width[near])
    read = shape.kv_heads * shape.head_dim / (kv_heads[near] * width[near])
    ratio = read if name == "decode_attention" else work
    grid = values[near] + np.log(ratio)
    return operation.axes, _windowed(operation.axes, grid, shape.window, name)


def _windowed(axes: tuple[Floats, ...], grid: Floats, window: int, name: str) -> Floats:
    if not window:
        return grid
    lengths = np.log(axes[1])
    ends = np.minimum(lengths, np.log(window))
    cut = np.array([np.interp(ends, lengths, line) for line in grid])
    if name == "prompt_attention":  # every token beyond the window costs what the window does
        cut += np.maximum(lengths - np.log(window), 0.0)
    return cut


def module(
    table: KernelTable, phase: str, kv_cache: str, products: str, key: tuple[int, ...], heads: int
) -> tuple[tuple[Floats, ...], Floats] | None:
    """Latencies [ln ns] over (sequences, length) of a whole attention module with ``heads`` a GPU.

    phase: "decode" or "prompt"; key: see ``modules.module_key``. Heads between tabulated counts are
    interpolated in the logarithms; KV cache and products take another format's rows where theirs were
    not measured. None where the module was not.
    """
    for kind in MODULES:
        operation = table.get(f"{phase}_{kind}_module")
        if operation is None:
            continue
        own = (operation.rows[:, 2:-1] == np.array(key)).all(axis=1)
        for column, text in ((0, kv_cache), (1, products)):
            same = own & (operation.rows[:, column] == operation.word(text))
            own = same if same.any() else own
        if own.any():
            known, first = np.unique(operation.rows[own, -1].astype(float), return_index=True)
            grids = operation.log_ns[own][first]
            flat = grids.reshape(len(known), -1)
            line = [np.interp(np.log(heads), np.log(known), column) for column in flat.T]
            return operation.axes, np.array(line).reshape(grids.shape[1:])
    return None


def ladder(table: KernelTable, name: str, *shape: int) -> tuple[Floats, Floats] | None:
    """Latencies [ln ns] of a shape with integer keys alone; the nearest keys where not measured."""
    operation = table.get(name)
    if operation is None or not len(operation.rows):
        return None
    gaps = np.abs(np.log(operation.rows / np.array(shape, dtype=float))).sum(axis=1)
    return operation.axes[0], operation.log_ns[int(gaps.argmin())]


def latent_reads(table: KernelTable, kv_cache: str, heads: int) -> Floats | None:
    """Nanoseconds over (sequences, context) of decode attention over a latent, ``heads`` a GPU.

    Heads share what they read, so that more never take less: the least of the tabulated counts that hold
    as many. Beyond the largest count ``(read**p + (heads / largest * arithmetic)**p) ** (1/p)``, where the
    fewest heads are all ``read`` and the largest count says the rest. None where nothing was measured.
    """
    operation = table.get("decode_mla")
    if operation is None:
        return None
    code = operation.word(kv_cache)
    own = operation.rows[:, 0] == (code if code >= 0 else operation.rows[0, 0])
    known, grids = operation.rows[own, 1].astype(float), np.exp(operation.log_ns[own])
    largest = float(known.max())
    whole: Floats = grids[known >= min(heads, largest)].min(axis=0)
    if heads <= largest:
        return whole
    read = grids.min(axis=0) ** READS_WITH_ARITHMETIC
    arithmetic = np.maximum(whole**READS_WITH_ARITHMETIC - read, 0.0)
    times = (heads / largest) ** READS_WITH_ARITHMETIC
    found: Floats = (read + times * arithmetic) ** (1 / READS_WITH_ARITHMETIC)
    return found


def by_heads(
    table: KernelTable, name: str, stored: str, heads: int
) -> tuple[tuple[Floats, ...], Floats] | None:
    """Latencies [ln ns] of an operation keyed by a format and heads a GPU; the nearest head count."""
    operation = table.get(name)
    if operation is None:
        return None
    code = operation.word(stored)
    own = operation.rows[:, 0] == (code if code >= 0 else operation.rows[0, 0])
    nearest = int(np.abs(np.log(operation.rows[own, 1] / heads)).argmin())
    return operation.axes, operation.log_ns[own][nearest]
