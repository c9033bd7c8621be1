"""The whole decision in at most 24 lines, for a terminal, a ticket or the end of a long report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from planner.plan.labels import MISSES, simulated
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.plan.decision_text import decision_lines, unserved
from planner.units import counted

MOST_LINES = 24
MOST_FOR_ONE = 4
LESS = "More in the whole report (without --brief)."
PROOF = {
    "optimal": "proven cheapest of what was searched, for the printed capacities and prices",
    "infeasible": "no fleet can meet this scenario",
    "unknown": "no plan was found before the solver stopped",
}


def brief(plan: Plan, width: int) -> tuple[str, ...]:
    """At most ``MOST_LINES`` lines of at most ``width`` characters; long sentences are cut."""
    lines: list[str] = []
    for sentence in _sentences(plan):
        wrapped = textwrap.wrap(
            sentence,
            width=width,
            max_lines=MOST_FOR_ONE,
            placeholder=" ...",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        if len(lines) + len(wrapped) > MOST_LINES - 1:
            return (*lines, LESS[:width])
        lines += wrapped
    return tuple(lines)


def _sentences(plan: Plan) -> Iterator[str]:
    name = plan.scenario.name
    if plan.totals is None:
        yield f"{name}: {PROOF[plan.status]}."
        if plan.infeasibility is not None:
            yield plan.infeasibility.summary
            for way in plan.infeasibility.relaxations:
                yield (
                    f"Relaxation: {way.requirement} {way.relaxed} instead of {way.current}, "
                    f"{rounding.usd_per_hour(way.usd_per_hour)}."
                )
        return
    at_most = "up to " if plan.varies else ""
    proof = PROOF.get(plan.status, f"not proven cheapest: the gap is {rounding.share(plan.gap)}")
    yield (
        f"{name}: {at_most}{counted(plan.totals.gpus_rented, 'GPU')}, "
        f"{rounding.usd_per_hour(plan.totals.usd_per_hour)} "
        f"({rounding.usd(plan.totals.usd_per_month)} per month), {proof}."
    )
    yield from unserved(plan)
    confirmed = simulated(plan) != MISSES
    if not confirmed:
        yield f"Simulation: {plan.verification.note}."
    yield from decision_lines(plan)
    if confirmed and plan.verification.note:
        yield f"Simulation: {plan.verification.note}."
    yield from (f"Warning: {w}" for w in plan.warnings if w != plan.verification.note)
