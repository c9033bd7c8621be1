"""``planner report``: a report on a plan, for procurement."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, jobs_option, solve_options
from planner.cli.shared.output_options import result_options
from planner.cli.shared.progress import progress, say_stopped
from planner.errors import InputError
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions

MEMO_FORMATS = ("html", "md", "table")
FORMATS = ("html", "md", "csv", "xlsx", "json", "table")


@click.command(name="report")
@click.argument("source", metavar="SCENARIO|PLAN.json", type=SCENARIO)
@set_option
@result_options(
    *FORMATS,
    table="order",
    tables="order, totals, ways_to_pay, tornado, sensitivity, replicas, latency, ...",
)
@click.option("--memo", is_flag=True, help="One page for approval instead: html, md or table.")
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
    changes: tuple[FieldChange, ...],
    output: Output,
    memo: bool,
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
      planner report plan.json --memo -o approval.html
    """
    from planner.findings.gather import gather
    from planner.parallel.process_pool import cores, solving_ahead
    from planner.reporting.deliver import ALL_TABLES, prepare
    from planner.reporting.files import send
    from planner.reporting.plan.deliver_plan import SOLVED_TABLES, write_findings
    from planner.session import Session
    from planner.solving.side_questions import SideQuestions

    if memo and output.format not in MEMO_FORMATS:
        raise InputError(
            "a memo is no such format",
            where="--memo",
            found=output.format,
            allowed=", ".join(MEMO_FORMATS),
        )
    prepare(output)
    kept = replace(options, keeps=True)
    session = Session.open(catalogs, calibration, kept, changes)
    with progress() as report:
        report(f"reading {source}")
        plan = session.plan_of(source, progress=report)
        if output.format == "json":
            send(plan.to_json(), output.file)
            return plan.exit_code
        if quick or (output.format == "csv" and output.table not in (ALL_TABLES, *SOLVED_TABLES)):
            findings = gather(plan, session.catalog, session.factors)
        else:
            brief = replace(kept, verify="none", explain=False, ranges=False).beside()
            questions = SideQuestions(brief, report)
            questions.stopped = plan.provenance.run.stopped
            with solving_ahead(session, jobs or cores(), brief) as solve:
                findings = gather(plan, session.catalog, session.factors, solve, questions)
        report("writing the report")
        write_findings(findings, output, memo=memo)
    if findings.stopped or plan.provenance.run.stopped:
        return say_stopped()
    return plan.exit_code
