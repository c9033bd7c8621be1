"""Where a plan goes: the whole report in any format, or its one-page memo, to a file or to stdout."""

from __future__ import annotations

from planner.findings.schema import Findings
from planner.reporting.deliver import write_document
from planner.reporting.files import send
from planner.reporting.plan import spreadsheet
from planner.reporting.plan.memo import memo as memo_of
from planner.reporting.plan.plan_document import plan_document

DEFAULT_TABLE = "order"
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


def write_findings(
    findings: Findings,
    style: str,
    output: str | None,
    *,
    table: str = DEFAULT_TABLE,
    memo: bool = False,
) -> None:
    """Write a plan with what was found out around it as ``style``, or the one-page ``memo`` of it.

    ``style``: table, json, md, html, csv or xlsx; ``table``: the one CSV carries. Raises OutputError
    when the file cannot be written or a package is missing.
    """
    if memo:
        write_document(memo_of(findings), style, output, table=table)
    elif style == "json":
        send(findings.plan.to_json(), output)
    elif style == "xlsx":
        send(spreadsheet.render(findings), output)
    else:
        write_document(plan_document(findings), style, output, table=table)
