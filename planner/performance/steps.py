"""One engine step: what is in it, and how long it takes, as named parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from planner.evidence import Evidence, Interval, StepLatency
from planner.performance.margins import Margin

Array = NDArray[np.float64]
Number = float | Array


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What one step of one replica works on; every field may be an array (one entry per step).

    decode_sequences: sequences that each yield one token (or a speculative burst) [sequences].
    decode_context_tokens: sum over them of the tokens in their cache [tokens].
    prefill_tokens: new prompt tokens computed in this step [tokens].
    prefill_sequences: prompts (or prompt chunks) in the step [sequences].
    prefill_context_tokens: sum over new prompt tokens of the tokens each attends to [token pairs];
        a whole prompt of p tokens has p (p + 1) / 2.
    sampled_tokens: positions whose logits are computed [tokens]; decode sequences plus finished prefills.
    All counts are for the whole replica: attention DP divides them inside the model.
    """

    decode_sequences: Number
    decode_context_tokens: Number
    prefill_tokens: Number = 0.0
    prefill_sequences: Number = 0.0
    prefill_context_tokens: Number = 0.0
    sampled_tokens: Number = 0.0


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds of one step by part [s]; ``total_s`` is not their sum where parts overlap.

    weights_s: reading weights; kv_s: reading KV and state; compute_s: arithmetic;
    collectives_s: tensor, expert and pipeline communication; overhead_s: launches and the scheduler.
    """

    weights_s: Number
    kv_s: Number
    compute_s: Number
    collectives_s: Number
    overhead_s: Number
    total_s: Number

    def times(self, factor: Number) -> StepTimes:
        """The step ``factor`` times as long, in every part."""
        return StepTimes(
            self.weights_s * factor,
            self.kv_s * factor,
            self.compute_s * factor,
            self.collectives_s * factor,
            self.overhead_s * factor,
            self.total_s * factor,
        )

    def plus(self, other: StepTimes) -> StepTimes:
        """This step and then the other, part by part."""
        return StepTimes(
            self.weights_s + other.weights_s,
            self.kv_s + other.kv_s,
            self.compute_s + other.compute_s,
            self.collectives_s + other.collectives_s,
            self.overhead_s + other.overhead_s,
            self.total_s + other.total_s,
        )


class StepModel(Protocol):
    """How fast one replica is. ``performance.model.step_model(deployment, calibration)`` builds one."""

    @property
    def evidence(self) -> Evidence:
        """The grade behind its factors for this deployment."""

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""

    @property
    def margin(self) -> Margin:
        """How much slower than predicted its steps may turn out."""

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]; vectorised over arrays in ``batch``."""

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]; the fast path of ``step_times``."""

    def interval(self, seconds: float, kind: StepLatency, level: float = 0.8) -> Interval:
        """The prediction interval around a predicted ``kind`` ("ttft" or "tpot") of ``seconds`` [s]."""
