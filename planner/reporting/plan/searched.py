"""What the cheapest fleet was chosen from, and what the rest would cost, in a line."""

from __future__ import annotations

from collections.abc import Iterator

from planner.plan.alternatives import LeftOut
from planner.plan.schema import Plan
from planner.reporting import rounding


def searched_line(plan: Plan) -> str:
    """What was searched and what was not, with the cost of each; empty for a plan that says neither."""
    return " ".join(_sentences(plan))


def _sentences(plan: Plan) -> Iterator[str]:
    if plan.searched:
        yield f"Searched: {plan.searched}."
    if plan.totals is None or not plan.left_out:
        return
    own = plan.totals.usd_per_hour
    bases = {o.against_usd_per_hour for o in plan.left_out} - {None}
    base = next(iter(bases), None)
    text = (f"{o.name}: {_cost(o, o.against_usd_per_hour or own)}" for o in plan.left_out)
    itself = f", {rounding.usd_per_hour(base)} for what was searched" if base is not None else ""
    yield f"Not searched, by the closed form{itself}: {'; '.join(text)}."


def _cost(other: LeftOut, base: float) -> str:
    """Its cost beside the plan's; a fleet that its time did not suffice to prove is no price."""
    usd_per_hour = other.usd_per_hour
    if usd_per_hour is None:
        return "no fleet" if other.status == "optimal" else "none found in its time"
    if other.status != "optimal":
        return f"at most {rounding.usd_per_hour(usd_per_hour)} (not proven in its time)"
    against = f" ({rounding.signed_share(usd_per_hour / base - 1)})" if base else ""
    return f"{rounding.usd_per_hour(usd_per_hour)}{against}"
