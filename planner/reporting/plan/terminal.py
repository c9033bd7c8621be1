"""A plan in the terminal: its document without what only a signed report needs, the decision last."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.text import Text

from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting.document import Document
from planner.reporting.formats.rich_document import renderable
from planner.reporting.plan.brief import brief
from planner.reporting.plan.plan_document import plan_document

LONG = 60  # lines of a report from which its decision is repeated last
REPORT_ONLY = ("cash", "cash_by_quarter", "steps", "evidence", "sources", "provenance")


def terminal_document(plan: Plan) -> Document:
    """What ``planner solve`` prints: the plan's document less ``REPORT_ONLY``."""
    return plan_document(Findings(plan)).without(*REPORT_ONLY)


def render_plan(plan: Plan) -> RenderableType:
    """The whole page as one renderable; ``rich`` wraps it to the terminal's width."""
    return renderable(terminal_document(plan))


def print_plan(plan: Plan, console: Console) -> None:
    """Print the page on ``console``; a long one ends with the decision in brief."""
    page = render_plan(plan)
    console.print(page)
    if len(console.render_lines(page, pad=False)) > LONG:
        console.print(Text("\nIn brief", style="bold cyan"))
        print_brief(plan, console)


def print_brief(plan: Plan, console: Console) -> None:
    """Print the decision alone, in at most 24 lines."""
    console.print(Group(*map(Text, brief(plan, console.width))))
