"""Plans that only their cost is read of say the same as plans in full, less what nobody reads."""

from __future__ import annotations

from planner.plan.schema import Plan
from planner.session import Session
from planner.solving.options import BRIEF

LEFT_OUT = {"losses", "acceptance", "rejections"}  # the last where a fleet is cheaper than most


def _said(plan: Plan) -> dict[str, object]:
    """All of a plan but how long it took."""
    return plan.model_copy(update={"provenance": None, "solver": None}).__dict__


def test_a_plan_for_its_cost_is_the_plan_without_what_takes_time_and_nobody_reads() -> None:
    session = Session.open(options=BRIEF)
    scenario = session.read("chat_8b_small_gpus")
    full = session.solver_of_variants()(scenario)
    brief = session.solver_of_variants(for_cost=True)(scenario)
    assert full.losses
    assert full.acceptance
    differ = {name for name, value in _said(full).items() if _said(brief)[name] != value}
    assert differ == LEFT_OUT
    assert brief.losses == brief.acceptance == ()
