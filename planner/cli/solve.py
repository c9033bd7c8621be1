"""``planner solve``: from a scenario file to the cheapest fleet that holds its targets."""

from __future__ import annotations

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import (
    FORMATS,
    catalog_options,
    deliver,
    deliver_brief,
    progress,
    solve_options,
)
from planner.cli.shared.output_options import format_option, table_option
from planner.cli.shared.paths import OUTPUT_FILE
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions


@click.command(name="solve", short_help="find the cheapest fleet that meets the targets")
@click.argument("scenario", type=SCENARIO)
@set_option
@solve_options(verify="simulate")
@catalog_options
@format_option(*FORMATS, text="Output format.")
@table_option("order", "order, totals, cash_by_month, replicas, rejections, ...")
@click.option("-o", "--output", type=OUTPUT_FILE, help="Write to a file.")
@click.option("--brief", is_flag=True, help="Only the decision, in at most 24 lines.")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    brief: bool,
    style: str,
    table: str,
    output: str | None,
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
        plan = Session.open(catalogs, calibration, options, changes).solve(
            scenario, progress=report
        )
    if brief:
        deliver_brief(plan, style, output)
    else:
        deliver(plan, style, output, table)
    return plan.exit_code
