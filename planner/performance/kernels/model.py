"""Step times of a deployment whose kernels were measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from planner.deployment import Deployment
from planner.performance.kernels.components import COMPONENTS, Components
from planner.performance.kernels.correction import HOST_TERMS, Corrections, host_features
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.quick import QuickSteps
from planner.performance.kernels.relatives import borrowed
from planner.performance.kernels.summing import components
from planner.performance.steps import Number, StepBatch, StepTimes
from planner.performance.traits import Traits


@dataclass(frozen=True, repr=False)
class KernelSteps:
    """Measured kernels with their correction laid over them; see ``correction``.

    kernels: corrected components. host: seconds per unit of HOST_TERMS. admission_s: from a request's
    arrival until it may be scheduled [s]; delivery_steps: decode steps until a first token is delivered.
    measured: all of them on this GPU: none carried over from another of its compute capability, no
    recurrence that was never timed.
    """

    kernels: Components
    host: Floats
    admission_s: float
    delivery_steps: float
    measured: bool = True

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        if np.ndim(batch.decode_sequences) == 0 and np.ndim(batch.prefill_tokens) == 0:
            fields = (
                batch.decode_sequences,
                batch.decode_context_tokens,
                batch.prefill_tokens,
                batch.prefill_sequences,
                batch.prefill_context_tokens,
                batch.sampled_tokens,
            )
            return self._quick.seconds(*(float(field) for field in fields)) * self._stages
        device = self.kernels.seconds(batch).sum(axis=0)
        total: Floats = device + self.host @ host_features(self.kernels, batch)
        return total * self._stages

    @cached_property
    def _quick(self) -> QuickSteps:
        return QuickSteps(self.kernels, self.host)

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]; products count as reading weights up to peak bandwidth."""
        parts = self.kernels.seconds(batch) * self._stages
        overhead = (self.host @ host_features(self.kernels, batch)) * self._stages
        low, wide, routed, decode, prompt, moved, sent = parts
        products = low + wide + routed
        weights = np.minimum(products, self._weights_s(batch))
        total = parts.sum(axis=0) + overhead
        found = (weights, decode, products - weights + prompt + moved, sent, overhead, total)
        if np.ndim(batch.decode_sequences) == 0:
            return StepTimes(*(float(part[0]) for part in found))
        return StepTimes(*found)

    @property
    def _stages(self) -> float:
        return float(self.kernels.loads.pipeline_parallel)

    def _weights_s(self, batch: StepBatch) -> Floats:
        """Weights read in a step at peak bandwidth [s]; of the experts, those that tokens reach."""
        w = self.kernels.loads
        dense = w.quantised.weight_bytes + w.plain.weight_bytes + w.head.weight_bytes
        sequences = np.atleast_1d(np.asarray(batch.decode_sequences, dtype=float))
        tokens = sequences + np.asarray(batch.prefill_tokens, dtype=float)
        hit = 1.0 - (1.0 - w.experts_per_token / w.experts) ** np.maximum(tokens, 1.0)
        read: Floats = (dense + w.expert.weight_bytes * hit) / w.bandwidth_bytes_s
        return read * self._stages


def kernel_steps(
    deployment: Deployment, traits: Traits, root: Path, known: Corrections
) -> KernelSteps | None:
    """Return the step times of a deployment; None where its kernels were not measured."""
    own = components(deployment, root)
    found = borrowed(deployment, root) if own is None else own
    if found is None:
        return None
    terms = known.terms_of(traits, deployment.engine.version)
    count = len(COMPONENTS)
    return KernelSteps(
        kernels=found.scaled(terms[:count]),
        host=terms[count : count + len(HOST_TERMS)],
        admission_s=float(terms[-2]),
        delivery_steps=float(terms[-1]),
        measured=own is not None and own.timed,
    )
