"""``planner validate``: how far the latency model is from measured points."""

from __future__ import annotations

from pathlib import Path

import click

from planner.cli.numbers import FiniteRange
from planner.cli.options import catalog_options

NOTHING_USABLE = 2


@click.command(name="validate", short_help="predict measured points and print the error")
@click.argument("points", type=click.Path(dir_okay=False))
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "md"]),
    default="table",
    show_default=True,
    help="How the result is told.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.")
@click.option(
    "--level",
    type=FiniteRange(0.1, 0.99),
    default=0.8,
    show_default=True,
    help="Level of the prediction intervals.",
)
@catalog_options
def command(
    points: str,
    style: str,
    output: str | None,
    level: float,
    catalogs: str | None,
    calibration: str | None,
) -> int:
    """Predict each measured run of POINTS, a CSV file, the way it was measured.

    Runs are closed loops: concurrency requests in flight, all sent at the start. Columns: model
    (catalog name, alias or config.json), gpu, engine, weights, tensor_parallel, prompt_tokens,
    output_tokens, concurrency, ttft_ms, tpot_ms; optional engine_version, data_parallel,
    expert_parallel, pipeline_parallel, gpus, kv_cache, measured_on. Others are ignored.

    Prints mean and median absolute percentage error, bias, rank correlation and interval coverage,
    by model, GPU, engine and weights, and the worst points. Exit codes: 0 at least one row was
    predicted, 2 none was or the file cannot be read, 4 catalog error.

    \b
    Examples:
      planner validate measured.csv
      planner validate measured.csv --format json -o errors.json
    """
    from planner.accuracy.points import read_points
    from planner.accuracy.validation import validate
    from planner.catalog.store import load_catalog
    from planner.performance.factors import load_calibration
    from planner.reporting.accuracy_tables import validation_document, validation_json
    from planner.reporting.deliver import write_document

    table = read_points(Path(points))
    catalog = load_catalog(Path(catalogs) if catalogs else None)
    factors = load_calibration(catalog, Path(calibration) if calibration else None)
    result = validate(table, catalog, factors, level)
    for row in result.failures:
        lines = "; ".join((row.error or "").splitlines())
        click.echo(f"{points}:{row.row.line}: {lines}", err=True)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    document = validation_document(result)
    write_document(document, style, output, table="groups", data=lambda: validation_json(result))
    return 0 if result.summary else NOTHING_USABLE
