"""Conversations as a workload: sessions of several turns, each of which resends the history."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from planner.scenario.fields import (
    Seconds,
    StrictDocument,
    check_quantiles,
    field_error,
    number_as_mean,
    with_probabilities,
)
from planner.scenario.lengths import MAX_TOKENS, LengthSpec, Tokens
from planner.units import parse_duration_s, parse_tokens

MAX_TURNS = 10_000


def _pause(value: object) -> object:
    return {"mean": parse_duration_s(value)} if isinstance(value, str) else number_as_mean(value)


class Turns(StrictDocument):
    """How many requests one conversation sends: ``mean`` alone is a constant, with ``cv`` a lognormal."""

    mean: Annotated[float, Field(ge=1, le=MAX_TURNS)]
    cv: Annotated[float, Field(ge=0, le=20)] = 0.0
    max: Annotated[float, Field(ge=1, le=MAX_TURNS)] | None = None

    @model_validator(mode="after")
    def _max_is_no_less(self) -> Turns:
        if self.max is not None and self.max < self.mean:
            raise ValueError(f"max ({self.max:g}) must not be below mean ({self.mean:g})")
        return self


class ThinkTime(StrictDocument):
    """The pause between the end of an answer and the conversation's next request.

    ``mean`` alone is a constant; ``mean`` with ``cv`` a lognormal; ``quantiles`` maps a probability in
    [0, 1] to a duration. Durations are ``20s``, ``2m`` or seconds.
    """

    mean: Seconds | None = None
    cv: Annotated[float, Field(ge=0, le=20)] = 0.0
    quantiles: dict[float, Seconds] | None = None
    max: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _keys_as_numbers(cls, value: object) -> object:
        return with_probabilities(value, "a duration")

    @model_validator(mode="after")
    def _one_kind(self) -> ThinkTime:
        if (self.mean is None) == (self.quantiles is None):
            raise ValueError("give exactly one of: a duration, {mean, cv}, {quantiles}")
        if self.cv and self.mean is None:
            raise ValueError("cv needs mean")
        if self.quantiles is not None:
            check_quantiles(self.quantiles)
        return self

    def times(self, factor: float) -> ThinkTime:
        """The same distribution with every pause ``factor`` times as long."""
        quantiles = self.quantiles
        if quantiles is not None:
            quantiles = {q: factor * s for q, s in quantiles.items()}
        return self.model_copy(
            update={
                "mean": None if self.mean is None else factor * self.mean,
                "quantiles": quantiles,
                "max": None if self.max is None else factor * self.max,
            }
        )


TurnsSpec = Annotated[Turns, BeforeValidator(number_as_mean)]
ThinkTimeSpec = Annotated[ThinkTime, BeforeValidator(_pause)]


class Conversations(StrictDocument):
    """Sessions of several turns, whose prompts the prefix cache of a replica may hold.

    The service's ``prompt_tokens`` is the whole first prompt of a conversation and ``output_tokens`` each
    answer; the prompt of turn n is the prompt and the answer of turn n - 1 and ``growth`` tokens more
    (the next question, results of tools). ``shared_system_prompt``: tokens at the start of every prompt
    that all conversations share, held once by a replica; part of ``prompt_tokens``. ``max_context``: a
    conversation ends before the turn that would exceed it, prompt and answer together.

    The service's ``rate`` counts requests, which are turns; ``rate: 2 conversations/s`` counts
    conversations instead, and ``arrivals`` describes how they start. Requests of later turns come
    when the answer before has ended and ``think_time`` has passed.

    ``trace`` in place of all this: recorded requests with the ids of their prompt blocks (Mooncake,
    Bailian) or of their conversation (OpenTelemetry, AIPerf), sent in the order and with the prefixes
    they were recorded with; lengths are then the trace's own.
    """

    turns: TurnsSpec | None = None
    think_time: ThinkTimeSpec | None = None
    growth: LengthSpec | None = None
    shared_system_prompt: Annotated[
        float, Field(ge=0, le=MAX_TOKENS), BeforeValidator(parse_tokens)
    ] = 0.0
    max_context: Tokens | None = None
    trace: str | None = None

    @model_validator(mode="after")
    def _stated_or_recorded(self) -> Conversations:
        stated = [f for f in ("turns", "think_time", "growth") if getattr(self, f) is not None]
        if self.trace is not None:
            if stated or self.shared_system_prompt or self.max_context is not None:
                field = (*stated, "shared_system_prompt")[0] if stated else "trace"
                raise field_error(
                    field, None, "a recorded trace brings its own turns: give trace alone"
                )
            return self
        missing = [f for f in ("turns", "think_time", "growth") if f not in stated]
        if missing:
            raise ValueError(
                f"conversations need {', '.join(missing)}, such as "
                "{turns: 8, think_time: 20s, growth: 500}, or {trace: FILE}"
            )
        return self
