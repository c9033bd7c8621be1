"""Number formats of weights and KV cache: how many bytes one value takes, and how it is computed.

A format is a row of ``catalogs/formats.csv``; the enums here are the names the code reasons about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How quantised weights are stored.

    ``bits``: bits per quantised value; ``group``: values that share one scale (0 = one scale per
    tensor, -1 = one per output channel); ``block``: (rows, cols) sharing one scale for block formats;
    ``scale_bits``/``zero_bits``: bits of each scale and zero point; ``compute``: the arithmetic
    precision where the GPU supports it natively ("bf16", "fp8", "int8", "fp4"), ``weight_only``
    formats always compute in 16 bits. ``keeps`` names the tensor classes that stay in 16 bits;
    ``overrides`` gives classes a format of their own (mixed checkpoints). ``expert_padding``: kernels
    round the experts' hidden size and local width up to multiples of these, ``padding_by_gpu`` where
    the kernels of a GPU generation, or else of an engine, differ. Hashing looks at the name and two
    widths alone, so that a format is a cheap key of a cache.
    """

    name: str
    bits: float
    compute: str
    weight_only: bool
    group: int = 0
    block: tuple[int, int] | None = None
    scale_bits: float = 0.0
    zero_bits: float = 0.0
    keeps: frozenset[str] = frozenset()
    source: str = ""
    overrides: tuple[tuple[str, WeightFormat], ...] = ()
    expert_padding: tuple[int, int] = (1, 1)
    padding_by_gpu: tuple[tuple[str, tuple[int, int]], ...] = ()

    def __hash__(self) -> int:
        return hash((self.name, self.bits, self.expert_padding))

    def on(self, gpu_architecture: str, engine: str = "") -> WeightFormat:
        """The format with the padding its kernels of one GPU generation and engine take."""
        overrides = tuple((k, other.on(gpu_architecture, engine)) for k, other in self.overrides)
        named = dict(self.padding_by_gpu)
        padding = named.get(gpu_architecture) or named.get(engine, self.expert_padding)
        if padding == self.expert_padding and overrides == self.overrides:
            return self
        return replace(self, expert_padding=padding, overrides=overrides)


@dataclass(frozen=True, slots=True)
class KvFormat:
    """How one K or V element is stored: ``bits`` per value plus ``scale_bits`` per ``group`` values."""

    name: str
    bits: float
    group: int = 0
    scale_bits: float = 0.0

    @property
    def bytes_per_value(self) -> float:
        """Bytes of one value with its share of the scales [B]."""
        return (self.bits + (self.scale_bits / self.group if self.group else 0.0)) / 8
