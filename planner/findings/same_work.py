"""Whether another fleet does the same work: where stock is short, one may cost less for serving less."""

from __future__ import annotations

from planner.plan.schema import Plan

AS_MUCH = (
    0.9  # other fleets are sized by the closed form alone, which is nearly always as close as that
)


def serves_less(answer: Plan, plan: Plan) -> str:
    """How much less than the plan another fleet serves, in words; "" where it does the same work.

    Only ``serve: by-priority`` lets a fleet leave requests; all others are infeasible instead.
    """
    theirs = {s.name: s.served_qps for s in answer.services}
    for service in plan.services:
        served, planned = theirs.get(service.name, 0.0), service.served_qps
        if served < AS_MUCH * planned:
            name = f" of {service.name}" if len(plan.services) > 1 else ""
            return f"serves {served:.3g} requests/s{name}, the plan {planned:.3g}"
    return ""
