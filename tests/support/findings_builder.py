"""What is found out around a hand-made plan; figures follow from their definitions."""

from planner.comparison.findings import (
    THREE_YEARS,
    BreakEven,
    Findings,
    LatencyCurve,
    LatencyPoint,
    Purchase,
    WhatIf,
)
from planner.fleet.money import CashFlow, present_value_usd

RATE = 0.08


def purchase(way, hourly, **more):
    """A rented way to pay at ``hourly``, its figures as the definitions give them."""
    month = hourly * 730
    flow = (0.0, *([month] * THREE_YEARS))
    return Purchase(
        way=way,
        what=f"3 x h100x8 ({way})",
        upfront_usd=0.0,
        usd_per_month=month,
        usd_one_year=12 * month,
        usd_three_years=36 * month,
        present_value_usd=present_value_usd(
            [CashFlow(m, usd, "") for m, usd in enumerate(flow)], RATE
        ),
        liability_usd=0.0,
        cash_flow_usd=flow,
        as_of="2026-10-01",
        source="https://acme.example/prices",
        confidence="high",
        **more,
    )


def findings_for(plan):
    return Findings(
        plan=plan,
        purchases=(
            purchase("on-demand", 60.0, planned=True),
            purchase("spot", 21.7),
            Purchase("3-year", "no 3-year offer of h100-sxm-80gb fits"),
        ),
        discount_rate=RATE,
        break_even=(BreakEven("spot against the plan", "at once", "less"),),
        what_ifs=(
            WhatIf("Request rate", "+20 % (60/s)", 80.25, 32, ("a",)),
            WhatIf("TTFT target", "-25 % (1.5 s)", None, None, ()),
        ),
        baseline=WhatIf("As asked", "", 60.0, 24, ("a",)),
        curves=(
            LatencyCurve(
                "chat",
                "4x h100-sxm-80gb vllm TP4 fp8, KV bf16",
                tuple(LatencyPoint(r, 0.2 / (1 - r / 12), 0.03 + 0.005 * r) for r in (2, 5, 8, 10)),
                operating_qps=10.0,
                capacity_qps=10.9,
            ),
        ),
    )
