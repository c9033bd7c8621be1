"""A mixed-integer linear program as plain values: columns and named rows.

The decision is written here once and handed to any solver; a row keeps the name of its constraint
family and the key it was written for, so that a conflict can be stated in the user's words.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Sense = Literal["<=", ">=", "=="]
Family = Literal[
    "choice",
    "replicas",
    "cover",
    "demand",
    "capacity",
    "link",
    "whole",
    "packing",
    "pattern",
    "cut",
    "beside",
    "offer",
    "stock",
    "max_gpus",
    "budget",
    "power",
    "spot",
    "cap",
    "mixture",
    "exists",
    "survive",
    "removal",
    "vendors",
    "least",
    "order",
    "knapsack",
]
Terms = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: a readable label and its bounds; ``high`` None = no upper bound."""

    label: tuple[Hashable, ...]
    low: float
    high: float | None
    integer: bool


@dataclass(frozen=True, slots=True)
class LinearConstraint:
    """``sum(coefficient * column) sense right``, written by the family ``family`` for ``key``."""

    family: Family
    key: tuple[Hashable, ...]
    terms: Terms
    sense: Sense
    right: float

    def holds(self, values: list[float], tolerance: float = 1e-6) -> bool:
        """Whether the row holds at ``values``, within ``tolerance`` of its largest term."""
        left = sum(c * values[i] for i, c in self.terms.items())
        slack = tolerance * max(1.0, abs(self.right))
        if self.sense == "<=":
            return left <= self.right + slack
        if self.sense == ">=":
            return left >= self.right - slack
        return abs(left - self.right) <= slack


@dataclass(slots=True)
class LinearProgram:
    """Columns and rows, in the order they were added."""

    columns: list[Variable] = field(default_factory=list)
    rows: list[LinearConstraint] = field(default_factory=list)

    def integer(self, *label: Hashable, high: float | None = None) -> int:
        """Add a whole-numbered column from 0 to ``high``; return its index."""
        return self._add(Variable(label, 0.0, high, True))

    def binary(self, *label: Hashable) -> int:
        """Add a 0/1 column; return its index."""
        return self._add(Variable(label, 0.0, 1.0, True))

    def continuous(self, *label: Hashable, high: float | None = None) -> int:
        """Add a real column from 0 to ``high``; return its index."""
        return self._add(Variable(label, 0.0, high, False))

    def row(
        self, family: Family, key: tuple[Hashable, ...], terms: Terms, sense: Sense, right: float
    ) -> None:
        """Add one row; zero coefficients are dropped."""
        kept = {i: c for i, c in terms.items() if c != 0}
        self.rows.append(LinearConstraint(family, key, kept, sense, right))

    def families(self) -> tuple[Family, ...]:
        """The constraint families present, in the order they first appear."""
        return tuple(dict.fromkeys(r.family for r in self.rows))

    def _add(self, column: Variable) -> int:
        self.columns.append(column)
        return len(self.columns) - 1


def combine(*parts: tuple[float, Terms]) -> dict[int, float]:
    """The linear expression ``sum(factor * terms)``."""
    total: dict[int, float] = {}
    for factor, terms in parts:
        for i, c in terms.items():
            total[i] = total.get(i, 0.0) + factor * c
    return total


def value(terms: Terms, values: list[float]) -> float:
    """The expression's value at ``values``."""
    return sum(c * values[i] for i, c in terms.items())


def total(expressions: Iterable[Terms]) -> dict[int, float]:
    """The sum of several linear expressions."""
    return combine(*((1.0, e) for e in expressions))
