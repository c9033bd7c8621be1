"""A plan takes of a quote what it is for, and pays no more vendors than allowed."""

import plan_builder as build
import pytest

from planner.catalog.offer import Offer, Term
from planner.verification.bill import price_checks
from planner.verification.check import Verdict
from planner.verification.promises import promise_checks


def quote(least, most):
    return Offer("acme", "us-east-1", "h100x8", "h100-sxm-80gb", 8, Term.ON_DEMAND, 20.0, "2026-10-01",
                 "mail", min_nodes=least, max_nodes=most)  # fmt: skip


@pytest.mark.parametrize(
    ("least", "most", "failing"), [(1, None, 0), (2, 4, 0), (4, None, 1), (1, 2, 1)]
)
def test_three_nodes_against_what_the_quote_is_for(least, most, failing):
    checks = price_checks(build.plan(), [quote(least, most)])
    assert sum(c.verdict is Verdict.FAILS for c in checks) == failing


@pytest.mark.parametrize(("most", "holds"), [(1, False), (2, True)])
def test_vendors_are_counted(most, holds):
    question = build.scenario(prices={"max_vendors": most})
    plan = build.plan(question, nodes=(build.node(), build.node(provider="bravo")))
    (check,) = [c for c in promise_checks(plan, str) if "max_vendors" in c.statement]
    assert (check.verdict is Verdict.HOLDS) == holds
