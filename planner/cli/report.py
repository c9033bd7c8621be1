"""``planner report``: a plan told so that procurement can sign it."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli.options import catalog_options, counting, jobs_option, progress, solve_options
from planner.solve_options import SolveOptions

FORMATS = ("html", "md", "csv", "xlsx", "json", "table")


@click.command(name="report", short_help="write a report: html, md, csv, xlsx or json")
@click.argument("source", metavar="SCENARIO|PLAN.json")
@click.option("--format", "style", type=click.Choice(FORMATS), default="html", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Write to a file; stdout otherwise.")
@click.option(
    "--table",
    default="order",
    show_default=True,
    help="Which table CSV carries: order, totals, ways_to_pay, sensitivity, replicas, latency, ...",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Solve nothing again: leave out other rental terms and the sensitivity.",
)
@solve_options(verify="simulate")
@jobs_option
@catalog_options
def command(
    source: str,
    style: str,
    output: str | None,
    table: str,
    quick: bool,
    jobs: int | None,
    catalogs: str | None,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Report on a scenario (solved first) or on a plan written by: planner solve --format json.

    Exit codes are those of the plan: 0 proven, 3 infeasible, 5 not proven; 2 invalid input.

    \b
    Examples:
      planner report llama70b_qps50 -o report.html
      planner report plan.json --format xlsx -o report.xlsx
      planner report plan.json --format csv --table ways_to_pay
    """
    from planner.comparison.gathering import gather
    from planner.reporting.deliver import prepare, write_findings, write_plan
    from planner.session import Session
    from planner.workers import cores, solving_ahead

    prepare(style, output)
    session = Session.open(catalogs, calibration, options)
    with progress() as report:
        report(f"reading {source}")
        plan = session.plan_of(source)
        if style == "json":
            write_plan(plan, style, output)
            return plan.exit_code
        if quick:
            findings = gather(plan, session.catalog, session.factors)
        else:
            brief = replace(options, verify="none", explain=False)
            with solving_ahead(session, jobs or cores(), brief) as solve:
                findings = gather(plan, session.catalog, session.factors, solve, counting(report))
    write_findings(findings, style, output, table=table)
    return plan.exit_code
