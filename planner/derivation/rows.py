"""The shape of a derivation: rows that show one topic in both ways."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DerivationStep:
    """One line of a derivation: formula, the numbers put in, the result, and a remark."""

    formula: str
    numbers: str
    result: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DerivationRow:
    """One topic, in both ways; a side is None where that way of sizing says nothing."""

    topic: str
    textbook: DerivationStep | None
    honest: DerivationStep | None


@dataclass(frozen=True, slots=True)
class Derivation:
    """The whole derivation of one service, and in a sentence why the two columns differ."""

    service: str
    model: str
    rows: tuple[DerivationRow, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Another scenario solved for comparison: what one replica holds, GPUs rented and cost."""

    scenario: str
    answer: str
    capacity_qps: float | None
    gpus: int | None
    usd_per_hour: float | None
