"""``planner solve``: from a scenario file to the cheapest fleet that holds its targets."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, solve_options
from planner.cli.shared.output_options import (
    DOCUMENT_FORMATS,
    result_options,
)
from planner.cli.shared.progress import progress, say_stopped
from planner.errors import OutputError
from planner.plan.schema import Plan
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions

BRIEF_WIDTH = 100  # columns of a file


@click.command(name="solve")
@click.argument("scenario", type=SCENARIO)
@set_option
@solve_options(verify="simulate")
@catalog_options
@result_options(
    *DOCUMENT_FORMATS,
    "xlsx",
    table="order",
    tables="order, totals, cash_by_month, replicas, rejections, ...",
)
@click.option("--brief", is_flag=True, help="Only the decision, in at most 24 lines.")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    brief: bool,
    output: Output,
    catalogs: str | None,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Find the cheapest fleet for SCENARIO: a YAML file, or the name of a shipped scenario.

    Exit codes: 0 a proven plan, 2 invalid input, 3 infeasible (the report says why), 4 catalog
    error, 5 the solver stopped without proof.

    \b
    Examples:
      planner solve scenarios/llama70b_qps50.yaml
      planner solve llama70b_qps50 --format json -o plan.json
      planner solve llama70b_qps50 --brief
      planner solve llama70b_qps50 --table all -o plan.csv
      planner solve mine.yaml --verify none --time-limit 10
    """
    from planner.session import Session

    with progress() as report:
        plan = Session.open(catalogs, calibration, replace(options, keeps=True), changes).solve(
            scenario, progress=report
        )
    if brief:
        _deliver_brief(plan, output)
    else:
        _deliver(plan, output)
    if plan.provenance.run.stopped:
        return say_stopped()
    return plan.exit_code


def _deliver(plan: Plan, output: Output) -> None:
    """Print the plan, or write it to a file."""
    from planner.reporting.files import send

    if output.on_screen:
        from planner.reporting.formats.rich_document import console
        from planner.reporting.plan.terminal import print_plan

        print_plan(plan, console())
    elif output.format == "json":
        send(plan.to_json(), output.file)
    else:
        from planner.findings.schema import Findings
        from planner.reporting.plan.deliver_plan import write_findings

        write_findings(Findings(plan), output)


def _deliver_brief(plan: Plan, output: Output) -> None:
    """Print the decision alone, or write it to a file; OutputError in another format."""
    if output.format != "table":
        raise OutputError(
            "--brief is text", found=f"--format {output.format}", action="leave out one of them"
        )
    from rich.console import Console

    from planner.reporting.files import write_file
    from planner.reporting.plan.brief import brief
    from planner.reporting.plan.terminal import print_brief

    if output.file is None:
        print_brief(plan, Console())
    else:
        write_file(output.file, "\n".join(brief(plan, BRIEF_WIDTH)) + "\n")
