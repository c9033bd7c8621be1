"""``planner replay``: a plan's replicas under a rate over time and several autoscalers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from planner.cli.shared.numbers import FiniteRange
from planner.cli.shared.output_options import format_option, table_option
from planner.cli.shared.paths import OUTPUT_FILE
from planner.errors import InputError


@click.command(name="replay", short_help="GPU-hours and misses of autoscalers under a real rate")
@click.argument("plan", metavar="PLAN.json")
@click.option(
    "--series",
    required=True,
    metavar="FILE",
    help="A rate over time (window_start_s, rate_rps): a file or the name of a shipped one.",
)
@click.option("--workload", metavar="NAME", help="The workload in a series that has several.")
@click.option("--service", metavar="NAME", help="The service of a plan that has several.")
@click.option(
    "--burst",
    type=FiniteRange(min=1, max=100),
    default=1.5,
    show_default=True,
    help="Autoscale up to this multiple of the plan's replicas.",
)
@click.option(
    "--policy",
    type=click.Choice(["schedule", "keda", "hpa"]),
    help="Write the objects of this policy to --policy-file.",
)
@click.option("--policy-file", type=OUTPUT_FILE, help="File for the policy's objects.")
@format_option("table", "json", "md", "csv")
@table_option("policies")
@click.option("-o", "--output", type=OUTPUT_FILE, help="Write to a file.")
@click.option(
    "--catalogs",
    type=click.Path(exists=True, file_okay=False),
    help="Use this folder instead of the shipped catalogs.",
)
def command(
    plan: str,
    series: str,
    workload: str | None,
    service: str | None,
    burst: float,
    policy: Literal["schedule", "keda", "hpa"] | None,
    policy_file: str | None,
    style: str,
    table: str,
    output: str | None,
    catalogs: str | None,
) -> int:
    """Run the replicas of PLAN.json under a rate over time, scaled to the service's mean: a static
    fleet, the plan's schedule, KEDA and a HorizontalPodAutoscaler as planner deploy writes them, and
    llm-d's saturation autoscaler, with start-up times. Prints GPU-hours and misses of each.

    Exit codes: 0 compared, 2 invalid input, 4 catalog error.

    \b
    Examples:
      planner replay plan.json --series servegen_rates --workload language/m-large
      planner replay plan.json --series rates.csv --policy keda --policy-file scaling.yaml
    """
    from planner.autoscaling.comparing import compare_policies
    from planner.autoscaling.comparing import policy_file as text_of
    from planner.catalog.store import load_catalog
    from planner.deploy.choices import Choices
    from planner.plan.schema import read_plan
    from planner.reporting.deliver import write_document
    from planner.reporting.files import write_file
    from planner.reporting.tables.replay_tables import replay_document
    from planner.workload.length_tables import read_rates

    if (policy is None) is not (policy_file is None):
        raise InputError(
            "--policy and --policy-file go together",
            action="name the policy and the file for its objects",
        )
    catalog = load_catalog(Path(catalogs) if catalogs else None)
    choices, document = Choices(burst=burst), read_plan(plan)
    rates = read_rates(series, workload)
    comparison = compare_policies(document, catalog, rates, service, choices)
    if policy is not None and policy_file is not None:
        write_file(policy_file, text_of(document, catalog, service, policy, choices))
    write_document(
        replay_document(comparison),
        style,
        output,
        table=table,
        data=lambda: {
            "service": comparison.service,
            "scale": comparison.scale,
            "policies": {
                name: {**asdict(one), "miss_share": one.miss_share}
                for name, one in comparison.results.items()
            },
        },
    )
    return 0
