"""The evidence for a number: a grade, and an interval that follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

StepLatency = Literal["ttft", "tpot"]  # what a prediction interval is known for


class Evidence(StrEnum):
    """How a predicted number is known, best first."""

    MEASURED = "measured"  # a measurement of this very configuration
    CALIBRATED = "calibrated"  # same engine and GPU, model of the same kernel family
    KERNELS = "measured kernels"  # summed from kernels measured on this GPU, by a method checked on others
    MODELLED = "modelled"  # roofline with factors borrowed from elsewhere
    ASSUMED = "assumed"  # a user's or a default assumption

    @property
    def rank(self) -> int:
        """0 for the strongest grade, 4 for the weakest."""
        return list(Evidence).index(self)


def weakest(grades: Iterable[Evidence]) -> Evidence:
    """A chain of numbers is as good as its weakest link; ``assumed`` when there is none."""
    return max(grades, key=lambda g: g.rank, default=Evidence.ASSUMED)


@dataclass(frozen=True, slots=True)
class Interval:
    """A prediction interval: the truth lies within ``low`` to ``high`` with probability ``level``."""

    level: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.level < 1 and self.low <= self.high):
            raise ValueError(f"not an interval: {self!r}")
