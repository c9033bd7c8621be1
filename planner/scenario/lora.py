"""LoRA adapters on one base model: how many there are, how large, and how many a replica holds."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from planner.scenario.fields import StrictDocument, field_error

Rank = Literal[8, 16, 32, 64, 128, 256]


class Lora(StrictDocument):
    """Adapters of which each request names one, each as likely as any other.

    ``adapters``: how many there are. ``rank``: the largest, of those that engines reserve memory for.
    ``max_loaded``: how many a replica holds on its GPUs at once (left out: all); the others wait in host
    memory.
    """

    adapters: Annotated[int, Field(ge=1, le=10_000)]
    rank: Rank = 16
    max_loaded: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _loaded_are_there(self) -> Lora:
        if self.max_loaded is not None and self.max_loaded > self.adapters:
            message = f"max_loaded exceeds the {self.adapters} adapters there are"
            raise field_error("max_loaded", self.max_loaded, message)
        return self

    @property
    def most_sequences(self) -> int | None:
        """Sequences of a batch that name no more adapters than are loaded, in the mean; None = any number.

        ``n`` sequences name ``N (1 - (1 - 1/N)^n)`` of ``N`` adapters: ``n = ln(1 - L/N) / ln(1 - 1/N)``
        for ``L`` loaded ones.
        """
        if self.loaded >= self.adapters:
            return None
        n = math.log1p(-self.loaded / self.adapters) / math.log1p(-1 / self.adapters)
        return max(1, math.floor(n + 1e-9))

    @property
    def loaded(self) -> int:
        """Adapters that a replica holds on its GPUs at once."""
        return self.adapters if self.max_loaded is None else self.max_loaded
