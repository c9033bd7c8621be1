"""Steps with more requests in flight than a model's fitted factors were measured at.

The factors say what a step takes up to there, measured kernels how it grows from there on:

    t(batch) = t_fitted(batch cut to the most in flight) * t_kernels(batch) / t_kernels(the same cut)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planner.performance.kernels.model import KernelSteps
from planner.performance.steps import Number, StepBatch


@dataclass(frozen=True, slots=True)
class KernelGrowth:
    """How a step grows beyond ``in_flight`` requests of one replica, by measured or carried-over kernels."""

    kernels: KernelSteps
    in_flight: float

    def starts_in(self, batch: StepBatch) -> bool:
        """Whether any step of ``batch`` has more requests in flight."""
        return bool(np.max(batch.decode_sequences) > self.in_flight)

    def cut(self, batch: StepBatch) -> StepBatch:
        """``batch`` with at most as many sequences, of contexts as long; prompts as they are."""
        share = np.minimum(1.0, self.in_flight / np.maximum(batch.decode_sequences, 1e-9))
        return replace(
            batch,
            decode_sequences=batch.decode_sequences * share,
            decode_context_tokens=batch.decode_context_tokens * share,
            sampled_tokens=batch.sampled_tokens * share,
        )

    def factor(self, batch: StepBatch, cut: StepBatch) -> Number:
        """How many times as long the kernels of ``batch`` take as those of ``cut``."""
        return self.kernels.step_seconds(batch) / self.kernels.step_seconds(cut)
