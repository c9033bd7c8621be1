"""Where a plan goes: the whole report in any format, or its one-page memo, to a file or to stdout."""

from __future__ import annotations

from planner.findings.schema import Findings
from planner.reporting.deliver import write_document
from planner.reporting.files import send
from planner.reporting.output import Output
from planner.reporting.plan import spreadsheet
from planner.reporting.plan.memo import memo as memo_of
from planner.reporting.plan.plan_document import plan_document

SOLVED_TABLES = frozenset(
    {
        "ways_to_pay",
        "break_even",
        "regret",
        "sensitivity",
        "tornado",
        "price_ladder",
        "price_ranges",
        "frontier",
    }
)


def write_findings(findings: Findings, output: Output, *, memo: bool = False) -> None:
    """Write a plan with what was found out around it, or the one-page ``memo`` of it.

    Raises OutputError when the file cannot be written or a package is missing.
    """
    if memo:
        write_document(memo_of(findings), output)
    elif output.format == "json":
        send(findings.plan.to_json(), output.file)
    elif output.format == "xlsx":
        send(spreadsheet.render(findings), output.file)
    else:
        write_document(plan_document(findings), output)
