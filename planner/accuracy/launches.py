"""Launch settings of public benchmark recipes, for runs that do not record their own.

``launches`` in ``catalogs/calibration/conditions.yaml``: what the recipes of a benchmark suite pass to an
engine. Suites are known by their nominal lengths.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from planner.accuracy.point import MeasuredPoint
from planner.serving.simulation.inbox import ENDLESS, EVERY_STEP, Intake

Count = Annotated[int, Field(ge=0)]
Range = tuple[Count, Annotated[int, Field(gt=0)]]
ANY: Range = (0, ENDLESS)


class _LaunchDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepTokens(_LaunchDocument):
    """Tokens of a step as recipes compute them from a run's lengths and concurrency.

    ``prompts x prompt_tokens + outputs x output_tokens + in_flight x concurrency + more``, rounded up to
    a multiple of ``multiple_of``, at least ``least``.
    """

    prompts: float = 0.0
    outputs: float = 0.0
    in_flight: float = 0.0
    more: float = 0.0
    multiple_of: Annotated[int, Field(gt=0)] = 1
    least: Count = 1

    def of(self, point: MeasuredPoint) -> int:
        """The tokens for one run."""
        total = (
            self.prompts * point.prompt_tokens
            + self.outputs * point.output_tokens
            + self.in_flight * point.concurrency
            + self.more
        )
        return max(self.least, -(-int(total) // self.multiple_of) * self.multiple_of)


class LaunchRow(_LaunchDocument):
    """What a recipe launches with, where every key of ``when`` and both ranges match.

    concurrency, tensor_parallel: lowest and highest value, both included. step_tokens: of
    ``max_num_batched_tokens``. poll_steps, gather_steps: see ``Intake``; gather_share: of the tokens of a
    step that end the wait; gather_ranks: whether one prompt per attention-DP rank ends it.
    """

    when: dict[str, str]
    concurrency: Range = ANY
    tensor_parallel: Range = ANY
    step_tokens: StepTokens | None = None
    poll_steps: Annotated[int, Field(gt=0)] = 1
    gather_steps: Count = 0
    gather_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    gather_ranks: bool = False
    source: str

    def covers(self, point: MeasuredPoint, facts: dict[str, str]) -> bool:
        """Whether this is the recipe of a run."""
        ranges = (
            (self.concurrency, point.concurrency),
            (self.tensor_parallel, point.tensor_parallel),
        )
        within = all(low <= value <= high for (low, high), value in ranges)
        return within and all(facts.get(key) == value for key, value in self.when.items())


def launched_tokens(row: LaunchRow | None, point: MeasuredPoint) -> int | None:
    """Tokens of a step by the recipe of a run; None where the run states its own or nothing is known."""
    if row is None or row.step_tokens is None or point.settings.max_num_batched_tokens:
        return None
    return row.step_tokens.of(point)


def intake_of(row: LaunchRow | None, point: MeasuredPoint) -> Intake:
    """How the engine of a run takes in requests while it decodes."""
    if row is None:
        return EVERY_STEP
    tokens = point.settings.max_num_batched_tokens or launched_tokens(row, point)
    return Intake(
        poll_steps=row.poll_steps,
        gather_steps=row.gather_steps,
        gather_tokens=round(row.gather_share * tokens) if row.gather_share and tokens else ENDLESS,
        gather_prompts=point.data_parallel if row.gather_ranks else ENDLESS,
    )
