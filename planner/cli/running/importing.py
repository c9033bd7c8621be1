"""``planner import``: a scenario from what runs today."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from planner.cli.deploy import pairs
from planner.cli.shared.output_options import catalogs_option, format_option, table_option
from planner.cli.shared.paths import OUTPUT_FILE
from planner.errors import InputError


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", type=OUTPUT_FILE, help="Write the scenario to a file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--before",
    multiple=True,
    metavar="FILE",
    help="An earlier text dump of the same servers, to subtract from their counters.",
)
@click.option(
    "--over",
    metavar="DURATION",
    help="The time that the counters of a single dump cover: 24h.",
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="FILE",
    help="A query_range answer that is requests per second by itself: sum(rate(...)).",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=MODEL",
    help="The catalog's model for a name in metrics or manifests.",
)
@click.option("--gpu", metavar="GPU", help="The GPU of workloads whose manifest names none.")
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NAME",
    help="Metrics and workloads of this namespace alone; may be repeated. Default: all, added up.",
)
@click.option(
    "--plan",
    metavar="PLAN.json",
    help="Print what to change between the running fleet and this plan.",
)
@format_option("table", "json", "md", "csv", text="Format of what --plan prints.")
@table_option("changes")
@catalogs_option
def command(
    files: tuple[str, ...],
    output: str | None,
    force: bool,
    before: tuple[str, ...],
    over: str | None,
    rates: tuple[str, ...],
    models: tuple[str, ...],
    gpu: str | None,
    namespaces: tuple[str, ...],
    plan: str | None,
    style: str,
    table: str,
    catalogs: str | None,
) -> int:
    """Make a scenario from FILES of a running fleet: rate over time, prompt and output lengths, the share
    of prompt tokens in the prefix cache, the GPUs in use, and today's percentiles.

    FILES, in any order: Prometheus text dumps (vLLM, SGLang, TensorRT-LLM, DCGM), JSON responses of query
    and query_range, kubectl get -o yaml of workloads and nodes, Helm values of vLLM production-stack
    and llm-d. What they do not say is assumed, and marked ASSUMED in the scenario. Secrets, environment
    variables and tokens in them are not copied, and nothing in them is run.

    Exit codes: 0 written, 2 invalid input, 4 catalog error.

    \b
    Examples:
      planner import metrics.prom fleet.yaml --over 24h -o today.yaml
      planner import requests.json lengths.json fleet.yaml -o today.yaml
      planner import fleet.yaml --plan plan.json
    """
    from planner.catalog.store import load_catalog
    from planner.importing.changes import fleet_changes
    from planner.importing.scenario_text import assumptions, checks, scenario_text
    from planner.importing.services import imported_services
    from planner.importing.sources import read_fleet
    from planner.plan.schema import read_plan
    from planner.reporting.deliver import write_document
    from planner.reporting.files import must_be_new, send
    from planner.reporting.output import Output
    from planner.reporting.tables.fleet_change_tables import fleet_change_document

    if output is not None and not force:
        must_be_new(output)
    catalog = load_catalog(catalogs)
    fleet = read_fleet(
        files,
        catalog,
        before=before,
        rates=rates,
        over_s=_seconds(over),
        gpu=catalog.gpu(gpu).name if gpu is not None else None,
        only=namespaces,
    )
    services = imported_services(fleet, catalog, pairs("--model", models))
    if plan is not None:
        changes = fleet_changes(fleet, services, read_plan(plan), catalog)
        write_document(
            fleet_change_document(changes),
            Output(style, table=table),
            data=lambda: {"changes": [asdict(change) for change in changes]},
        )
    if plan is None or output is not None:
        text = scenario_text(fleet, services, catalog, Path(output).stem if output else "imported")
        for line in assumptions(text):
            click.echo(f"warning: assumed, not in the files: {line}", err=True)
        for line in checks(text):
            click.echo(f"warning: {line}", err=True)
        send(text, output)
    return 0


def _seconds(over: str | None) -> float | None:
    from planner.cli.shared.numbers import warn_of_seconds
    from planner.units import parse_duration_s

    if over is None:
        return None
    try:
        seconds = float(parse_duration_s(over))
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise InputError(
            "not a duration", where="--over", found=over, allowed="such as 24h or 30min"
        )
    warn_of_seconds(over, "--over")
    return seconds
