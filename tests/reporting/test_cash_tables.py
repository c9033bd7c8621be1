"""Cash and exposure as a reader sees them: at signature, by quarter, and were it given up."""

import plan_builder as build
import pytest

from planner.findings.schema import Findings, Regret
from planner.plan.money import Cash, Rental
from planner.reporting.plan.plan_document import plan_document

HELD = Rental(
    provider="acme", region="us-east-1", instance_type="h100x8", term="1-year",
    gpu="h100-sxm-80gb", gpus_per_node=8, count=2, usd_per_hour_each=10.0, from_month=4, months=9,
    upfront_share=0.25,
)  # fmt: skip
A_MONTH = 2 * 10.0 * 730


@pytest.fixture
def tables():
    question = build.scenario(horizon={"months": 12, "need": "continues"})
    cash = Cash.of([HELD.holding], 12, ends=False)
    plan = build.plan(question, rentals=(HELD,), cash=cash)
    findings = Findings(plan, regrets=(Regret(0.5, 100.0, 60.0), Regret(2.0, None, 500.0)))
    return plan_document(findings).tables()


def rows(table):
    return [[cell.value for cell in row] for row in table.cells()]


def test_what_is_due_when_and_what_it_accrues_to(tables):
    sums = dict(rows(tables["cash"]))
    assert sums["Due at signature"] == 0
    assert sums["Committed in total"] == pytest.approx(12 * A_MONTH)
    assert sums["All upfront payments"] == pytest.approx(3 * A_MONTH)
    assert sums["Paid by month 12"] == pytest.approx(3 * A_MONTH + 9 * 0.75 * A_MONTH)
    assert sums["Paid ahead for months beyond the horizon"] == pytest.approx(3 * 0.25 * A_MONTH)
    assert sums["Still owed after the horizon"] == pytest.approx(3 * 0.75 * A_MONTH)
    assert sums["Accrued cost of the 12 months"] == pytest.approx(9 * A_MONTH)


def test_quarters_hold_every_payment_and_say_what_leaving_costs(tables):
    found = rows(tables["cash_by_quarter"])
    assert [r[0] for r in found] == [
        "signature",
        "1 to 3",
        "4 to 6",
        "7 to 9",
        "10 to 12",
        "13 to 15",
    ]
    assert sum(r[1] for r in found) == pytest.approx(12 * A_MONTH)
    assert found[1][3] == pytest.approx(12 * 0.75 * A_MONTH)  # signed at the end of month 3
    assert found[2][3:] == pytest.approx([9 * 0.75 * A_MONTH, 9 * 0.25 * A_MONTH])
    assert found[-1][3:] == [0, 0]


def test_every_month_is_there_for_machines(tables):
    months = rows(tables["cash_by_month"])
    assert [m[0] for m in months] == list(range(16))
    assert months[-1][2] == pytest.approx(12 * A_MONTH)


def test_a_plan_without_cash_has_no_table_of_it():
    assert "cash_by_month" not in plan_document(Findings(build.plan())).tables()


def test_regret_is_the_difference_to_hindsight(tables):
    assert rows(tables["regret"]) == [["-50 %", 100.0, 60.0, 40.0], ["+100 %", None, 500.0, None]]
