"""How long a call of several prompts takes on a replica that does nothing else.

Targets of such a service are of whole calls, which end with their last prompt. The closed form knows single
prompts, of which the last one of a call waits for all before it: however few calls come, none ends sooner
than the steps that hold all of its prompts.
"""

from __future__ import annotations

from collections.abc import Iterator

from planner.performance.steps import StepBatch, StepModel
from planner.scenario.slo import Slo
from planner.serving.limits import ReplicaLimits
from planner.units import exact
from planner.workload.lengths import JointLengths

UPPER = 75  # percentiles from here on are above a call of mean prompts, whatever their spread


def idle_call_s(
    steps: StepModel, limits: ReplicaLimits, prompts: int, prompt_tokens: float
) -> float:
    """The time of a call of equal prompts on an idle replica, in steps as full as it takes them [s].

    prompt_tokens: of one prompt [tokens].
    """
    left, seconds = prompts * prompt_tokens, 0.0
    most = max(min(limits.max_num_batched_tokens, limits.max_num_seqs * prompt_tokens), 1.0)
    while left > 0:
        tokens = min(left, most)
        number = tokens / prompt_tokens
        pairs = number * prompt_tokens * (prompt_tokens + 1) / 2
        batch = StepBatch(0.0, 0.0, tokens, number, pairs, number)
        seconds += float(steps.step_seconds(batch))
        left -= tokens
    return seconds


def calls_too_slow(
    steps: StepModel, limits: ReplicaLimits, lengths: JointLengths, prompts: int, slo: Slo
) -> Iterator[tuple[str, float]]:
    """Targets that an idle replica misses with a whole call, and by what factor; none of single prompts."""
    if prompts == 1:
        return
    median, _ = lengths.median_prompt(0.0)
    for target in slo.targets:
        if target.metric != "e2e" or target.percentile < 50:
            continue
        mean = target.percentile >= UPPER
        need = idle_call_s(steps, limits, prompts, lengths.mean_prompt if mean else median)
        if need > target.seconds:
            yield (
                f"{target.key} of {exact(target.seconds)} is under the {exact(need)} that a replica "
                f"without any other request is predicted to need for a call of {prompts} prompts",
                need / target.seconds,
            )
