"""What a draft model adds to a step: one pass over the step's new tokens, then one per further token.

The draft writes every prompt token into its own cache and drafts the first token in one pass, then
drafts token after token: ``k`` drafted tokens take ``k`` passes, all within one engine step (vLLM
``EagleProposer.propose``; SGLang ``EAGLEWorker.draft``). Each is priced as a decode step of the draft
on the same GPUs, by the roofline, without the scheduler's own time, which a step pays once. The
target then verifies ``k + 1`` tokens of a sequence at once, which is in its own loads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.deployment import Deployment
from planner.performance import roofline
from planner.performance.factors import Calibration
from planner.performance.loads import loads_of
from planner.performance.roofline import Factors, Loads
from planner.performance.steps import Number, StepBatch, StepTimes
from planner.sizing.drafts import draft_deployment


@dataclass(frozen=True, slots=True)
class DraftSteps:
    """The passes of a draft model within one step; ``tokens``: drafted per sequence and step."""

    loads: Loads
    factors: Factors
    tokens: int

    def seconds(self, batch: StepBatch) -> Number:
        """What the draft adds to a step [s]."""
        return self._passes(batch).total_s

    def added_to(self, times: StepTimes, batch: StepBatch) -> StepTimes:
        """The step with the draft's passes, part by part [s]."""
        return times.plus(self._passes(batch))

    def _passes(self, batch: StepBatch) -> StepTimes:
        """One pass over all new tokens and ``tokens - 1`` over the sequences that decode."""
        first = roofline.step_times(self.loads, self.factors, batch)
        decoding = StepBatch(
            batch.decode_sequences,
            batch.decode_context_tokens,
            sampled_tokens=batch.decode_sequences,
        )
        more = roofline.step_times(self.loads, self.factors, decoding)
        deciding = batch.decode_sequences / (batch.decode_sequences + 1e-9)
        return first.plus(more.times(deciding * (self.tokens - 1)))


def draft_steps(deployment: Deployment, calibration: Calibration) -> DraftSteps | None:
    """The passes of the deployment's draft model; None where none of its own drafts."""
    alone = draft_deployment(deployment)
    if alone is None:
        return None
    factors = replace(
        calibration.factors(alone),
        step_overhead_s=0.0,
        sequence_overhead_s=0.0,
        prefill_step_overhead_s=0.0,
    )
    return DraftSteps(loads_of(alone), factors, deployment.settings.draft_tokens)
