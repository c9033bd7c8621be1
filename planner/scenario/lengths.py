"""The lengths of prompts and generations [tokens], as a scenario states them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from planner.scenario.fields import (
    StrictDocument,
    check_quantiles,
    number_as_mean,
    with_probabilities,
)
from planner.units import parse_tokens

MAX_TOKENS = 1e8  # of a request; a thousand times the longest context
Tokens = Annotated[float, Field(ge=1, le=MAX_TOKENS), BeforeValidator(parse_tokens)]


def _length(value: object) -> object:
    return number_as_mean(parse_tokens(value))


class Lengths(StrictDocument):
    """A token-length distribution: constant, lognormal, empirical quantiles, or a trace's column.

    ``mean`` alone is a constant; ``mean`` with ``cv`` a lognormal; ``quantiles`` maps a probability
    in [0, 1] to tokens; ``trace`` names a request file (its own prompt and output columns are used
    as pairs when both lengths name it). ``8k`` is 8,000 tokens.
    """

    mean: Tokens | None = None
    cv: Annotated[float, Field(ge=0, le=20)] = 0.0
    quantiles: (
        dict[
            float,
            Annotated[float, Field(gt=0, le=MAX_TOKENS), BeforeValidator(parse_tokens)],
        ]
        | None
    ) = None
    trace: str | None = None
    max: Tokens | None = None

    @model_validator(mode="before")
    @classmethod
    def _keys_as_numbers(cls, value: object) -> object:
        return with_probabilities(value, "tokens")

    @model_validator(mode="after")
    def _one_kind(self) -> Lengths:
        kinds = [k for k in ("mean", "quantiles", "trace") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(
                "give exactly one of: a number of tokens, {mean, cv}, {quantiles}, {trace}"
            )
        if self.cv and self.mean is None:
            raise ValueError("cv needs mean")
        if self.max is not None and self.mean is not None and self.max < self.mean:
            raise ValueError(f"max ({self.max:g}) must not be below mean ({self.mean:g})")
        if self.quantiles is not None:
            check_quantiles(self.quantiles)
        return self


LengthSpec = Annotated[Lengths, BeforeValidator(_length)]
