"""Sizing by memory alone, as textbooks do it, with their rounding.

Weights of a rounded parameter count, a KV cache for the requests of a guessed response time, a flat
overhead, and the smallest power of two of GPUs that holds the sum. Right about what fits, silent
about what is fast enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from planner.units import GB


@dataclass(frozen=True, slots=True)
class Textbook:
    """The textbook's numbers for one service, rounded as the textbook rounds.

    parameters: rounded count; bits: bits per weight by format name; kv_token_bytes: exact KV bytes of
    one token; tokens: prompt plus output; in_flight: rate times guessed response time; overhead_bytes:
    everything else, of all GPUs together.
    """

    parameters: int
    bits: Mapping[str, float]
    kv_token_bytes: float
    tokens: float
    in_flight: float
    overhead_bytes: float

    @property
    def kv_token_kb(self) -> float:
        """KV per token in whole kilobytes, cut off: 327,680 B is 327 KB."""
        return math.floor(self.kv_token_bytes / 1e3)

    @property
    def kv_request_bytes(self) -> float:
        """KV of one whole request, to three digits: 1500 x 327 KB is 490 MB [B]."""
        return cut(self.kv_token_kb * 1e3 * self.tokens, digits=3)

    @property
    def kv_bytes(self) -> float:
        """KV of all requests in flight [B]."""
        return self.kv_request_bytes * self.in_flight

    def weights_bytes(self, name: str) -> float:
        """Weights in a format [B]."""
        return whole_gigabytes(self.parameters * self.bits[name] / 8)

    def total_bytes(self, name: str) -> float:
        """Weights, KV cache and everything else [B]."""
        return self.weights_bytes(name) + self.kv_bytes + self.overhead_bytes

    def gpus(self, name: str, gpu_bytes: float) -> int:
        """The smallest power of two of GPUs whose memory holds the total."""
        count = 1
        while self.total_bytes(name) > count * gpu_bytes:
            count *= 2
        return count


def rounded_parameters(total: int) -> int:
    """Round a parameter count as textbooks do: whole billions from ten up, else one decimal, cut off.

    70,553,706,496 becomes 70e9 and 671,026,404,352 becomes 671e9; 7,615,616,512 becomes 7.6e9.
    """
    unit = 10**9 if total >= 10**10 else 10**8
    return total // unit * unit


def whole_gigabytes(size_bytes: float) -> float:
    """Round bytes as textbooks do: whole GB from ten up, half upwards, so 335.5 GB is 336 GB [B]."""
    return math.floor(size_bytes / GB + 0.5) * GB if size_bytes >= 10 * GB else size_bytes


def cut(value: float, digits: int) -> float:
    """Cut ``value`` to that many significant digits: 490,500,000 to three is 490,000,000."""
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1) if value > 0 else 1.0
    return math.floor(value / unit) * unit


def up_to_tens(value: float) -> float:
    """The next multiple of ten: 218.5 is 220."""
    return math.ceil(value / 10 - 1e-9) * 10
