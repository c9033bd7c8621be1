import io

import findings_builder
import plan_builder as build
import pytest
from rich.console import Console

from planner.plan.provenance import Verification
from planner.reporting.formats import markdown
from planner.reporting.plan.plan_document import plan_document
from planner.reporting.plan.terminal import print_plan

TOGETHER = "95 % of the requests meet all these targets at once"


def shown(plan):
    page = io.StringIO()
    print_plan(plan, Console(file=page, width=120))
    return page.getvalue()


@pytest.fixture
def together():
    """TTFT p99 is beyond its target, but only the share that meets both at once is requested."""
    slo = {"ttft_p99": "1s", "tpot_p99": "100ms", "goodput": 0.95}
    return build.plan(build.scenario(slo=slo))


def test_targets_that_are_judged_together_say_so(together):
    assert TOGETHER in " ".join(shown(together).split())
    assert TOGETHER not in shown(build.plan())
    page = markdown.render(plan_document(findings_builder.findings_for(together)))
    assert TOGETHER in page
    assert "| no |" not in page


def test_a_fleet_that_was_not_confirmed_says_so_at_the_top():
    note = "no fleet was confirmed in the simulator; the printed one misses a target there"
    plan = build.plan(warnings=(note,), verification=Verification(method="simulate", note=note))
    lines = shown(plan).splitlines()
    assert note in lines[:4]
    assert lines.count(note) == 1
