"""Which tables of measured kernels become which operations of the catalog, on which ladders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.performance.collectives import NODE_GPUS
from planner.performance.kernels import attended
from planner.performance.kernels.modules import MODULE_KEYS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]
TOKENS: tuple[int, ...] = (
    *(1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072),
    *(4096, 8192, 16384, 32768),
)
FEW_TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTEXTS = (16, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
PROMPTS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
PROMPT_BATCHES = (1, 4, 16)
CHUNKS = (16, 128, 512, 2048, 8192)
EARLIER = tuple(int(tokens) for tokens in attended.EARLIER)
MESSAGES = tuple(2**i for i in range(8, 28))
ROUTING = "power_law_1.01"  # beyond a node's ranks, engines move experts until ranks are level
WIDEST_SPREAD = 64
FUSED = ("fused_kda_decode", "kda_fused_decode", "fused_kda_decode_mtp_dspark")


@dataclass(frozen=True)
class MeasuredColumns:
    """MeasuredColumns of a table; text is held as codes into ``words``. ``ns``: latency [ns]."""

    values: dict[str, NDArray[np.int64]]
    words: dict[str, list[str]]
    ns: Floats

    def equal(self, name: str, word: str) -> Bools:
        """Rows whose text column ``name`` is ``word``."""
        known = self.words[name]
        code = known.index(word) if word in known else -1
        return np.equal(self.values[name], code)

    def take(self, rows: Bools | NDArray[np.int64]) -> MeasuredColumns:
        """The rows of a mask or of indices."""
        return MeasuredColumns(
            {n: v[rows] for n, v in self.values.items()}, self.words, self.ns[rows]
        )


@dataclass(frozen=True)
class TabledOperation:
    """How a table becomes an operation of the catalog.

    keys: columns that make a shape. axes: the ladder of each of the one or two axis columns.
    rise: exponent with which latency continues beyond the last measured value of each axis.
    shared: engines run the same kernels, the fastest table holds for all. peers: on GPUs
    joined by PCIe alone the fastest of all engines and versions holds: of the machines that measured
    them, some let GPUs reach their peers. total: kernels of a module are added up (``FUSED`` names
    those that do the work of all). more: beyond what the same takes without earlier tokens, in the table
    of the engine that measured most.
    """

    table: str
    name: str
    keys: tuple[str, ...]
    axes: tuple[tuple[str, tuple[int, ...]], ...]
    rise: tuple[float, ...]
    shared: bool = False
    peers: bool = False
    keep: Callable[[MeasuredColumns], Bools] | None = None
    total: bool = False
    more: bool = False


def convolves(c: MeasuredColumns) -> Bools:
    """Rows of a convolution that is a kernel of its own."""
    names = c.words["kernel_source"]
    known = np.array([name.startswith("causal_conv") for name in names])
    found: Bools = known[c.values["kernel_source"]]
    return found


def _decode(c: MeasuredColumns) -> Bools:
    return c.equal("phase", "generation")


def _context(c: MeasuredColumns) -> Bools:
    return c.equal("phase", "context")


def _routing(c: MeasuredColumns) -> Bools:
    tensor, expert = c.values["moe_tp_size"], c.values["moe_ep_size"]
    narrow = (tensor * expert <= WIDEST_SPREAD) & ((expert <= 8) | (tensor == 1))
    likely: Bools = np.where(
        expert <= NODE_GPUS, c.equal("distribution", ROUTING), c.equal("distribution", "balanced")
    )
    chosen: Bools = np.logical_and(narrow, likely)
    return chosen


def _not_context(c: MeasuredColumns) -> Bools:
    return ~_context(c)


def _prompt_recurrence(c: MeasuredColumns) -> Bools:
    return _context(c) & ~convolves(c)


def _prompt_convolution(c: MeasuredColumns) -> Bools:
    return _context(c) & convolves(c)


def _half(c: MeasuredColumns) -> Bools:
    return c.equal("nccl_dtype", "half")


def _fresh(c: MeasuredColumns) -> Bools:
    return np.equal(c.values["step"], 0)


def _one_prompt(c: MeasuredColumns) -> Bools:
    return np.equal(c.values["batch_size"], 1)


_GEN = (("batch_size", BATCHES), ("step", CONTEXTS))
_CTX = (("batch_size", PROMPT_BATCHES), ("isl", PROMPTS))
_ATTENTION = ("kv_cache_dtype", "num_heads", "num_key_value_heads", "head_dim", "window_size")
_MODULE = ("kv_cache_dtype", "gemm_type", *MODULE_KEYS, "num_heads")
_MOE = (
    "moe_dtype",
    "hidden_size",
    "inter_size",
    "topk",
    "num_experts",
    "moe_tp_size",
    "moe_ep_size",
)
_RECURRENT = ("num_k_heads", "num_v_heads", "d_model")
_PROMPTS = (("batch_size", PROMPT_BATCHES), ("seq_len", PROMPTS))
_BY_TOKENS = (("num_tokens", FEW_TOKENS),)


def _decode_of(table: str, name: str, keys: tuple[str, ...] = _MODULE) -> TabledOperation:
    """An attention step for one new token a sequence, the same in every engine."""
    return TabledOperation(table, name, keys, _GEN, (1.0, 1.0), shared=True)


def _prompt_of(
    table: str, name: str, keys: tuple[str, ...] = _MODULE, rise: float = 1.3
) -> TabledOperation:
    """The attention of whole prompts, the same in every engine; ``rise``: with their length."""
    return TabledOperation(table, name, keys, _CTX, (1.0, rise), shared=True, keep=_fresh)


def _later_of(table: str, name: str) -> TabledOperation:
    """What a chunk of one prompt takes more for the tokens before it."""
    axes = (("isl", CHUNKS), ("step", EARLIER))
    return TabledOperation(
        table, name, _MODULE, axes, (1.0, 1.0), shared=True, keep=_one_prompt, more=True
    )


_LATENT = ("kv_cache_dtype", "num_heads")
OPERATIONS: tuple[TabledOperation, ...] = (
    TabledOperation(
        "gemm", "gemm", ("gemm_dtype", "n", "k"), (("m", TOKENS),), (1.0,), shared=True
    ),
    TabledOperation("moe", "moe", _MOE, _BY_TOKENS, (1.0,), shared=True, keep=_routing),
    TabledOperation("generation_attention", "decode_attention", _ATTENTION, _GEN, (1.0, 1.0)),
    TabledOperation(
        "context_attention", "prompt_attention", _ATTENTION, _CTX, (1.0, 2.0), keep=_fresh
    ),
    _decode_of("generation_mla", "decode_mla", _LATENT),
    _prompt_of("context_mla", "prompt_mla", _LATENT, rise=2.0),
    TabledOperation(
        "mla_bmm", "mla_bmm", ("bmm_dtype", "num_heads"), _BY_TOKENS, (1.0,), shared=True
    ),
    _decode_of("mla_generation_module", "decode_mla_module"),
    _prompt_of("mla_context_module", "prompt_mla_module", rise=2.0),
    _decode_of("dsa_generation_module", "decode_sparse_module"),
    _prompt_of("dsa_context_module", "prompt_sparse_module"),
    _later_of("dsa_context_module", "later_sparse_module"),
    _decode_of("msa_generation_module", "decode_msa_module"),
    _prompt_of("msa_context_module", "prompt_msa_module"),
    _later_of("msa_context_module", "later_msa_module"),
    _decode_of("dsv4_csa_generation_module", "decode_csa_module"),
    _prompt_of("dsv4_csa_context_module", "prompt_csa_module"),
    _later_of("dsv4_csa_context_module", "later_csa_module"),
    _decode_of("dsv4_hca_generation_module", "decode_hca_module"),
    _prompt_of("dsv4_hca_context_module", "prompt_hca_module"),
    _later_of("dsv4_hca_context_module", "later_hca_module"),
    TabledOperation(
        "gdn",
        "decode_gdn",
        _RECURRENT,
        (("batch_size", BATCHES),),
        (1.0,),
        shared=True,
        keep=_decode,
        total=True,
    ),
    TabledOperation(
        "gdn", "prompt_gdn", _RECURRENT, _BY_TOKENS, (1.0,), shared=True, keep=_context, total=True
    ),
    TabledOperation(
        "kda",
        "decode_kda",
        ("num_v_heads", "seq_len"),
        (("batch_size", BATCHES),),
        (1.0,),
        keep=_not_context,
        total=True,
    ),
    TabledOperation(
        "kda", "prompt_kda", ("num_v_heads",), _PROMPTS, (1.0, 1.0), keep=_prompt_recurrence
    ),
    TabledOperation(
        "kda",
        "prompt_kda_convolution",
        ("num_v_heads",),
        _PROMPTS,
        (1.0, 1.0),
        shared=True,
        keep=_prompt_convolution,
    ),
    TabledOperation(
        "custom_allreduce",
        "all_reduce",
        ("num_gpus",),
        (("message_size", MESSAGES),),
        (1.0,),
        peers=True,
    ),
    TabledOperation(
        "nccl", "gather", ("num_gpus",), (("message_size", MESSAGES),), (1.0,), keep=_half
    ),
)
