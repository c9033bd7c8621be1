"""Sizing a nanochat model from its depth alone, by the arithmetic of its memory guide.

Width ``64 x depth``, two untied vocabulary matrices, four-fold MLP: ``12 w^2 d + 2 V w`` parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import InputError
from planner.sizing.rules_of_thumb import BUFFER
from planner.units import GB, MIB

VOCABULARY = 50_304
WIDTH_PER_LAYER = 64
LOGIT_POSITIONS = 1024
LOGIT_BYTES = 4
ACTIVATION_SHARE = 0.1
FRAMEWORK_BYTES = 500 * MIB
DTYPE_BYTES = {"bfloat16": 2, "fp16": 2, "fp32": 4}
MAX_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class NanochatMemory:
    """Serving memory of a nanochat model [bytes]; ``recommended_bytes`` is the total x 1.2.

    ``activations_bytes`` = batch x 1024 x vocabulary x 4 + 10 % of the weights;
    ``framework_bytes`` = 500 MiB.
    """

    depth: int
    width: int
    parameters: int
    weights_bytes: float
    kv_bytes: float
    activations_bytes: float
    framework_bytes: float

    @property
    def total_bytes(self) -> float:
        """The sum of the parts [B]."""
        parts = (self.weights_bytes, self.kv_bytes, self.activations_bytes, self.framework_bytes)
        return sum(parts)

    @property
    def recommended_bytes(self) -> float:
        """The sum with the guide's buffer on top [B]."""
        return self.total_bytes * BUFFER

    def in_gb(self) -> dict[str, float]:
        """The parts, the total and the recommendation [GB]."""
        return {
            "weights": self.weights_bytes / GB,
            "kv_cache": self.kv_bytes / GB,
            "activations": self.activations_bytes / GB,
            "framework": self.framework_bytes / GB,
            "total": self.total_bytes / GB,
            "recommended": self.recommended_bytes / GB,
        }


def nanochat_parameters(depth: int, vocabulary: int = VOCABULARY) -> int:
    """``12 w^2 d + 2 V w`` with ``w = 64 d``: embedding, blocks and head [values]."""
    width = WIDTH_PER_LAYER * depth
    return 12 * width * width * depth + 2 * vocabulary * width


def nanochat_memory(
    depth: int, batch_size: int = 1, max_seq_len: int = 1024, dtype: str = "bfloat16"
) -> NanochatMemory:
    """Memory to serve a nanochat model; raises InputError for a size or type that cannot be.

    Only the KV cache follows ``max_seq_len``: the guide keeps 1,024 logit positions.
    """
    for name, value, limit in (
        ("depth", depth, MAX_DEPTH),
        ("batch size", batch_size, 1_000_000),
        ("sequence length", max_seq_len, 10_000_000),
    ):
        if not 1 <= value <= limit:
            raise InputError(f"{name} is out of range", found=value, allowed=f"1 to {limit:,}")
    if dtype not in DTYPE_BYTES:
        raise InputError("unknown dtype", found=dtype, allowed=", ".join(DTYPE_BYTES))
    size = DTYPE_BYTES[dtype]
    width = WIDTH_PER_LAYER * depth
    parameters = nanochat_parameters(depth)
    weights = float(parameters * size)
    logits = batch_size * LOGIT_POSITIONS * VOCABULARY * LOGIT_BYTES
    return NanochatMemory(
        depth=depth,
        width=width,
        parameters=parameters,
        weights_bytes=weights,
        kv_bytes=float(2 * depth * width * size * max_seq_len * batch_size),
        activations_bytes=logits + ACTIVATION_SHARE * weights,
        framework_bytes=float(FRAMEWORK_BYTES),
    )
