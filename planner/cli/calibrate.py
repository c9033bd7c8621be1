"""``planner calibrate``: fit the latency model to measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.shared.measured import read_measured, setting_of, setting_options
from planner.cli.shared.options import catalog_options
from planner.cli.shared.paths import OUTPUT_FILE, PIPED_FILE

if TYPE_CHECKING:
    from planner.accuracy.bench.files import Setting
    from planner.accuracy.point import MeasuredPoint


@click.command(name="calibrate")
@click.argument("points", nargs=-1, required=True, type=PIPED_FILE)
@click.option("-o", "--output", required=True, type=OUTPUT_FILE, help="File to write.")
@setting_options
@catalog_options
def command(
    points: tuple[str, ...],
    output: str,
    catalogs: str | None,
    calibration: str | None,
    **given: object,
) -> int:
    """Fit your own factors from POINTS: tables as planner accuracy reads them, or result files.

    Result files need --gpu, --engine and --weights, which they do not record. A handful of points is
    enough to improve their engine and GPU; what they say nothing about keeps its shipped value. A run
    at a rate counts with the requests it kept in flight, for its TPOT alone.

    Prints what was learned, what could not be, and which measurement to make next. Exit codes:
    0 written, 2 no point is usable or an option is missing, 4 catalog error.

    \b
    Examples:
      planner calibrate measured.csv -o my-calibration.yaml
      planner calibrate run.json --gpu l40s --engine vllm --weights fp8 -o my-calibration.yaml
      planner solve llama70b_qps50 --calibration my-calibration.yaml
    """
    from datetime import UTC, datetime

    from planner.accuracy.own_fit import fit_own
    from planner.catalog.store import load_catalog
    from planner.performance.calibration_files import dump_fitted
    from planner.performance.factors import load_calibration
    from planner.reporting.accuracy.accuracy_calibration import calibration_document
    from planner.reporting.deliver import write_document
    from planner.reporting.files import write_file
    from planner.reporting.output import Output

    setting = setting_of(given)
    measured = [point for path in points for point in _read(Path(path), setting)]
    catalog = load_catalog(catalogs)
    factors = load_calibration(catalog, calibration)
    fit = fit_own(measured, catalog, factors, datetime.now(UTC).date().isoformat())
    for point, reason in fit.failures:
        what = f"{point.model} on {point.gpu} at {point.concurrency}"
        click.echo(f"left out: {what}: {'; '.join(reason.splitlines())}", err=True)
    write_file(output, dump_fitted(fit.file))
    write_document(calibration_document(fit, output), Output("table"))
    return 0


def _read(path: Path, setting: Setting) -> list[MeasuredPoint]:
    table = read_measured(path, setting)
    for row in table.rows:
        if row.error:
            click.echo(f"{path}:{row.line}: {row.error}", err=True)
    for warning in table.warnings:
        click.echo(f"warning: {warning}", err=True)
    return list(table.points)
