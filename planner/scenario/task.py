"""What a service does with a prompt: it generates, or its prompts are pooled into one result.

An embedding, a score or a class takes one pass over the prompt: nothing is written, so that a service
of that kind has no output tokens, and the only latency it has is that of the whole request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from planner.scenario.fields import field_error
from planner.scenario.lengths import Lengths
from planner.scenario.slo import Slo

Task = Literal["generate", "embed", "rerank", "classify"]
GENERATE: Task = "generate"
POOLING: tuple[Task, ...] = ("embed", "rerank", "classify")
ONE_PASS = 1.0  # the step in which a prompt is worked on, in place of output tokens


class PoolingFields(Protocol):
    """The fields of a service whose meaning depends on its task."""

    @property
    def task(self) -> Task:
        """What becomes of a prompt."""

    @property
    def output_tokens(self) -> Lengths:
        """Tokens written."""

    @property
    def slo(self) -> Slo:
        """Latency targets."""

    @property
    def length_correlation(self) -> float:
        """Between prompt and output lengths."""


def with_one_pass(value: object) -> object:
    """A pooling service's fields with the one pass over its prompt in place of output tokens.

    Raises at ``output_tokens`` where they are given besides.
    """
    if not isinstance(value, Mapping) or value.get("task") not in POOLING:
        return value
    given = value.get("output_tokens")
    if given is not None and given not in (1, {"mean": 1}):
        message = f"task {value['task']} writes no tokens: leave output_tokens out"
        raise field_error("output_tokens", given, message)
    return {**value, "output_tokens": {"mean": ONE_PASS}}


def check_task(service: PoolingFields) -> None:
    """Raise at the first field that a pooling service cannot have."""
    if service.task == GENERATE:
        return
    for target in service.slo.targets:
        if target.metric != "e2e":
            message = (
                f"task {service.task} has no {target.metric}, for no token is written: give e2e "
                f"targets, of the whole request, such as e2e_p{target.percentile:g}"
            )
            raise field_error("slo", target.key, message)
    if service.length_correlation:
        message = f"task {service.task} writes no tokens that lengths could go with"
        raise field_error("length_correlation", service.length_correlation, message)
