"""One re-checked statement of a plan, and how numbers are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

RELATIVE_TOLERANCE = 1e-6


class Verdict(StrEnum):
    """What came of a check."""

    HOLDS = "holds"
    FAILS = "fails"
    SKIPPED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """A statement of the plan and the numbers that decide it.

    ``family``: what it belongs to ("money", "demand", "packing", "physics", ...); ``statement``: in
    words; ``found``: what the plan says; ``required``: what it must be; for a check that could not
    be made, ``found`` is the reason.
    """

    family: str
    statement: str
    verdict: Verdict
    found: str
    required: str = ""


def equal(family: str, statement: str, found: float | None, required: float | None) -> Check:
    """The plan's number equals the recomputed one, within the relative tolerance."""
    if found is None or required is None:
        holds = found is required
    else:
        holds = math.isclose(found, required, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)
    return Check(
        family, statement, _verdict(holds), number_text(found), f"= {number_text(required)}"
    )


def same(family: str, statement: str, found: object, required: object) -> Check:
    """The plan's word equals the one required."""
    return Check(family, statement, _verdict(found == required), str(found), f"= {required}")


def at_most(family: str, statement: str, found: float, limit: float) -> Check:
    """The plan's number does not exceed a limit, beyond the relative tolerance."""
    holds = found <= limit + RELATIVE_TOLERANCE * abs(limit) + 1e-12
    return Check(family, statement, _verdict(holds), number_text(found), f"<= {number_text(limit)}")


def at_least(family: str, statement: str, found: float, limit: float) -> Check:
    """The plan's number reaches a limit, but for the relative tolerance."""
    holds = found >= limit - RELATIVE_TOLERANCE * abs(limit) - 1e-12
    return Check(family, statement, _verdict(holds), number_text(found), f">= {number_text(limit)}")


def one_of(family: str, statement: str, found: str, allowed: tuple[str, ...]) -> Check:
    """The plan's word is among those allowed."""
    return Check(
        family, statement, _verdict(found in allowed), found, f"one of {', '.join(allowed)}"
    )


def skipped(family: str, statement: str, reason: str) -> Check:
    """A check that could not be made, and why."""
    return Check(family, statement, Verdict.SKIPPED, reason)


def number_text(number: float | None) -> str:
    """A number with seven significant digits; "-" when there is none."""
    return "-" if number is None else f"{number:.7g}"


def _verdict(holds: bool) -> Verdict:
    return Verdict.HOLDS if holds else Verdict.FAILS
