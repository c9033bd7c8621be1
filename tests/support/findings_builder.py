"""What is found out around a hand-made plan; figures follow from their definitions."""

from planner.findings.schema import (
    BreakEven,
    Findings,
    LatencyCurve,
    LatencyPoint,
    Purchase,
    WhatIf,
)
from planner.money.rates import CashFlow, present_value_usd
from planner.plan.money import Rental

RATE = 0.08
MONTHS = 36


def rental(node):
    """A node held over the whole horizon."""
    named = ("provider", "region", "instance_type", "term", "gpu", "gpus_per_node", "count")
    return Rental(
        **{name: getattr(node, name) for name in named},
        usd_per_hour_each=node.usd_per_hour_each,
        from_month=1,
        months=MONTHS,
        hours_per_month=730 * node.hours_share,
    )


def purchase(way, hourly, **more):
    """A rented way to pay at ``hourly``, its figures as the definitions give them."""
    month = hourly * 730
    flow = (0.0, *([month] * MONTHS))
    held = Rental(
        provider="acme", region="us-east-1", instance_type="h100x8", term=way, gpu="h100-sxm-80gb",
        gpus_per_node=8, count=1, usd_per_hour_each=hourly, from_month=1, months=MONTHS,
    )  # fmt: skip
    return Purchase(
        **{
            "way": way,
            "what": f"3 x h100x8 ({way})",
            "cost_usd": MONTHS * month,
            "usd_per_month": month,
            "left_usd": 0.0,
            "due_at_signature_usd": 0.0,
            "upfront_usd": 0.0,
            "first_year_usd": 12 * month,
            "cash_usd": MONTHS * month,
            "owed_usd": 0.0,
            "present_value_usd": present_value_usd(
                [CashFlow(m, usd, "") for m, usd in enumerate(flow)], RATE
            ),
            "cash_flow_usd": flow,
            "as_of": "2026-10-01",
            "source": "https://acme.example/prices",
            "confidence": "high",
            "rentals": (held,),
            **more,
        }
    )


def findings_for(plan):
    return Findings(
        plan=plan,
        purchases=(
            purchase(
                "on-demand",
                60.0,
                planned=True,
                rentals=tuple(rental(n) for n in plan.nodes),
            ),
            purchase("spot", 21.7),
            Purchase("3-year", "no 3-year offer of h100-sxm-80gb fits"),
        ),
        discount_rate=RATE,
        break_even=(BreakEven("spot against the plan", "at once", "less"),),
        what_ifs=(
            WhatIf("Request rate", "+20 % (60/s)", 80.25, 32, ("a",)),
            WhatIf("TTFT target", "-25 % (1.5 s)", None, None, ()),
        ),
        baseline=WhatIf("As stated", "", 60.0, 24, ("a",)),
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
