"""``planner autoscale``: a plan's fleet replayed under autoscalers, and their files."""

from __future__ import annotations

import click

from planner.cli.shared.numbers import FiniteRange, duration
from planner.cli.shared.options import catalog_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.progress import counting, progress, say_stopped
from planner.reporting.output import Output

POLICIES = ("static", "schedule", "keda", "hpa", "llm-d")


@click.command(name="autoscale")
@click.argument("plan", type=click.Path(dir_okay=False), metavar="PLAN.json")
@click.option(
    "--rates",
    metavar="FILE",
    help="Replay this rate series (window_start_s, rate_rps) instead of the scenario's load.",
)
@click.option("--workload", metavar="NAME", help="With --rates: the series in it.")
@click.option(
    "--as-is",
    is_flag=True,
    help="With --rates: its rates as they are, not scaled to the plan's mean.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(POLICIES),
    help="Replay this policy; may be repeated (default: all).",
)
@click.option(
    "--start-up", callback=duration, help="Time from requesting a replica until it serves."
)
@click.option(
    "--queue-threshold",
    type=click.IntRange(min=1),
    help="Requests waiting at a replica that start another one (default: the plan's).",
)
@click.option(
    "--burst",
    type=FiniteRange(min=1, max=100),
    default=1.5,
    show_default=True,
    help="How far autoscaling may go beyond the plan's replicas, as a factor.",
)
@click.option(
    "--policy-files",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write the autoscalers' files there.",
)
@click.option("--force", is_flag=True, help="Replace files that are in the folder already.")
@catalog_options
@document_options("policies")
def command(
    plan: str,
    rates: str | None,
    workload: str | None,
    as_is: bool,
    policies: tuple[str, ...],
    start_up: float | None,
    queue_threshold: int | None,
    burst: float,
    policy_files: str | None,
    force: bool,
    catalogs: str | None,
    calibration: str | None,
    output: Output,
) -> int:
    """Replay the fleet of PLAN.json under autoscalers: requests missed, GPU-hours, cost.

    Each is set up as planner deploy writes it, and compared with the plan's own schedule and with a fleet
    of what the busiest hour needs. Exit codes: 0 replayed, 2 invalid input, 4 catalog error.

    \b
    Examples:
      planner solve fleet_day_and_night --format json -o plan.json
      planner autoscale plan.json
      planner autoscale plan.json --rates rates.csv --start-up 10m --policy keda --policy-files scaling/
    """
    from pathlib import Path

    from planner.deploy.choices import Choices
    from planner.deploy.folder import write_folder
    from planner.deploy.replayed import Given, replayed, scaled_pieces
    from planner.deploy.replayed import policy_files as files_of
    from planner.plan.schema import read_plan
    from planner.reporting.deliver import prepare, write_document
    from planner.reporting.studies.autoscaling_document import autoscaling_document
    from planner.session import Session
    from planner.solving.options import SolveOptions

    prepare(output)
    session = Session.open(catalogs, calibration, SolveOptions(verify="none"), ())
    answer, choices = read_plan(plan), Choices(burst=burst)
    given = Given(rates, workload, as_is, policies or POLICIES, start_up, queue_threshold)
    with progress() as report:
        counted = counting(report)
        studies = replayed(
            answer, session.catalog, session.factors, choices, given, counted, keeps=True
        )
    if policy_files is not None:
        files = files_of(studies, session.catalog, choices)
        write_folder(Path(policy_files), files, overwrite=force)
        for name in files:
            click.echo(f"wrote {policy_files}/{name}", err=True)
    document = autoscaling_document(answer.scenario.name, studies)
    write_document(
        document,
        output,
        data=lambda: {
            "scenario": answer.scenario.name,
            "policies": document.tables()["policies"].records(),
            "series": document.tables()["series"].records(),
        },
    )
    return say_stopped() if len(studies) < len(scaled_pieces(answer)) else 0
