"""Step times of pipelines whose stages stand on different nodes: activations cross the network.

Between two stages each tensor-parallel rank sends its part of the activations, ``tokens x hidden size``
values of 16 bits, to the rank of the same number on the next node, where the parts are gathered again
(vLLM ``send_tensor_dict`` with the group's all-gather; Narayanan et al. 2021, "Efficient large-scale
language model training on GPU clusters", section 4.1). Within a node this is part of what was fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planner.deployment import Deployment
from planner.performance.collectives import crosses_network
from planner.performance.decode_context import DividedStepModel
from planner.performance.model import CalibratedStepModel
from planner.performance.steps import Number, StepBatch, StepTimes

ACTIVATION_BYTES = 2.0


@dataclass(frozen=True, slots=True)
class StageHandover:
    """What a step's passage from stage to stage takes.

    hops: between stages; bytes_per_token: that one rank sends at each [B]; width: tokens of a sequence in
    a decode step; ranks: that divide a batch, data parallel ones and stages.
    """

    hops: float
    bytes_per_token: float
    network_bytes_s: float
    width: float
    ranks: float

    def seconds(self, batch: StepBatch, latency_s: float) -> Number:
        """``hops x (latency + tokens x bytes / rate)`` of a step with tokens [s]; latency_s: of a hop."""
        decoded = np.asarray(batch.decode_sequences, dtype=float) * self.width
        tokens = (decoded + np.asarray(batch.prefill_tokens, dtype=float)) / self.ranks
        sent = tokens * self.bytes_per_token / self.network_bytes_s
        extra = np.where(tokens > 0, self.hops * (latency_s + sent), 0.0)
        return extra if extra.ndim else float(extra)


@dataclass(frozen=True, slots=True)
class StagedStepModel(DividedStepModel):
    """Step times of a replica whose stages stand on different nodes."""

    handover: StageHandover | None = None

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]; what stages hand over is with the collectives."""
        times = DividedStepModel.step_times(self, batch)
        extra = self._handed_over(batch)
        return replace(
            times, collectives_s=times.collectives_s + extra, total_s=times.total_s + extra
        )

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return DividedStepModel.step_seconds(self, batch) + self._handed_over(batch)

    def _handed_over(self, batch: StepBatch) -> Number:
        if self.handover is None:
            return 0.0
        return self.handover.seconds(batch, float(self.factors.collective_latency_s))


def with_stage_handover(deployment: Deployment, model: CalibratedStepModel) -> CalibratedStepModel:
    """The step model with what stages hand over where they do not share a node."""
    gpu, stages = deployment.gpu, deployment.pipeline_parallel
    if stages == 1 or not crosses_network(gpu, deployment.gpus) or not gpu.network_gb_s:
        return model
    own = {f.name: getattr(model, f.name) for f in fields(model)}
    handover = StageHandover(
        hops=stages - 1.0,
        bytes_per_token=ACTIVATION_BYTES
        * deployment.model.hidden_size
        / deployment.tensor_parallel,
        network_bytes_s=1e9 * gpu.network_gb_s,
        width=float(model.loads.tokens_per_sequence),
        ranks=float(model.loads.data_parallel) * stages,
    )
    return StagedStepModel(**own, handover=handover)
