"""Requests of several classes that arrive together, as one distribution of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MIXED_ATOMS = 4096  # equally likely requests that stand for a mix; a share is off by 1/8192 at most


class LengthPairs(Protocol):
    """Equally likely pairs of a class [tokens]."""

    @property
    def prompt(self) -> Ints: ...
    @property
    def output(self) -> Ints: ...


@dataclass(frozen=True, slots=True, eq=False)
class ClassMix:
    """Which class each of a distribution's equally likely requests is of.

    names: of the classes; number: of each request's class; levels: where the priority of each class ranks,
    0 is served first.
    """

    names: tuple[str, ...]
    number: Ints
    levels: tuple[int, ...]

    @property
    def by_priority(self) -> bool:
        """Whether one class is served before another."""
        return len(set(self.levels)) > 1

    @property
    def fingerprint(self) -> bytes:
        """Equal where classes, their priorities and their requests are."""
        return repr((self.names, self.levels)).encode() + self.number.tobytes()

    def masks(self) -> list[NDArray[np.bool_]]:
        """The requests of each class."""
        return [self.number == k for k in range(len(self.names))]


def mixed(lengths: Sequence[LengthPairs], shares: Sequence[float]) -> tuple[Ints, Ints, Ints]:
    """Prompts, outputs [tokens] and class numbers of requests that come in these shares.

    As many requests stand for each class as its share of them all asks for, evenly taken from its own.
    """
    prompt, output, number = [], [], []
    for k, (own, share) in enumerate(zip(lengths, shares, strict=True)):
        atoms = max(1, round(MIXED_ATOMS * share))
        chosen = np.arange(atoms) * len(own.prompt) // atoms
        prompt.append(own.prompt[chosen])
        output.append(own.output[chosen])
        number.append(np.full(atoms, k, dtype=np.int64))
    return np.concatenate(prompt), np.concatenate(output), np.concatenate(number)
