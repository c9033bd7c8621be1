"""What a search may draft tokens with: speculative decoding as one of its choices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from planner.scenario.fields import Share, StrictDocument, some

METHODS = ("none", "mtp", "eagle3", "ngram", "draft")
MOST_TOKENS = 16

DraftTokens = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MOST_TOKENS)], ...],
    BeforeValidator(
        lambda v: (v,) if isinstance(v, int) else tuple(v) if isinstance(v, list) else v
    ),
    AfterValidator(some),
]


class Speculation(StrictDocument):
    """One way to draft the tokens that a decode step verifies, or ``none``.

    ``method``: mtp (the checkpoint's prediction layers), eagle3 (a trained head), ngram (earlier text) or
    draft (a small model of its own). ``draft``: the model or checkpoint that drafts; of eagle3 the
    published one where left out. ``tokens``: drafted per step, each number is tried. ``acceptance``:
    share of them that the model accepts; left out, what is published for the model, else an
    assumption. ``workload``: of the published lengths only those measured on text of that name.
    """

    method: Literal["none", "mtp", "eagle3", "ngram", "draft"]
    draft: str | None = None
    tokens: DraftTokens | None = None
    acceptance: Share | None = None
    workload: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        """``mtp`` is a method; ``{draft: MODEL}`` names what drafts."""
        if isinstance(value, str):
            return {"method": value}
        if isinstance(value, dict) and "method" not in value and "draft" in value:
            return {"method": "draft", **value}
        return value

    @model_validator(mode="after")
    def _fits_the_method(self) -> Speculation:
        if self.method == "draft" and self.draft is None:
            raise ValueError("name the model that drafts: {draft: MODEL}")
        if self.method not in ("draft", "eagle3") and self.draft is not None:
            raise ValueError(f"{self.method} drafts without a model of its own: leave draft out")
        stated = (self.tokens, self.acceptance, self.workload)
        if self.method == "none" and any(part is not None for part in stated):
            raise ValueError("none drafts nothing: leave tokens, acceptance and workload out")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> object:
        """A method alone as its name, else the fields that say something."""
        text: dict[str, object] = write(self)
        stated = {key: value for key, value in text.items() if value is not None}
        return self.method if stated.keys() == {"method"} else stated


def _each_once(choices: tuple[Speculation, ...]) -> tuple[Speculation, ...]:
    seen: set[tuple[str, str | None]] = set()
    for choice in choices:
        one = (choice.method, choice.draft if choice.method == "draft" else None)
        if one in seen:
            raise ValueError(
                f"{choice.method} is listed twice: give it once, with every number of tokens to try"
            )
        seen.add(one)
    return choices


def as_choices(value: object) -> object:
    """One choice as a list of it."""
    if isinstance(value, (str, dict)):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Speculative = Annotated[
    tuple[Speculation, ...],
    BeforeValidator(as_choices),
    AfterValidator(some),
    AfterValidator(_each_once),
]
NONE = Speculation(method="none")
