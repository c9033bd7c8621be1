"""``planner calibrate``: fit the latency model to measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.options import catalog_options

if TYPE_CHECKING:
    from planner.accuracy.bench_files import Setting
    from planner.accuracy.points import Point

RESULT_SUFFIXES = (".json", ".jsonl")


@click.command(name="calibrate", short_help="fit the latency model to your own measurements")
@click.argument("points", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False), help="File to write."
)
@click.option("--gpu", help="GPU behind result files (catalog name).")
@click.option("--engine", help="Engine behind result files.")
@click.option("--weights", help="Weight format behind result files.")
@click.option("--model", default="", help="Model, when result files do not name it.")
@click.option("--kv-cache", default="", help="KV cache format behind result files.")
@click.option("--tensor-parallel", type=click.IntRange(1), default=1, show_default=True)
@click.option("--data-parallel", type=click.IntRange(1), default=1, show_default=True)
@click.option("--expert-parallel", type=click.IntRange(1), default=1, show_default=True)
@catalog_options
def command(
    points: tuple[str, ...],
    output: str,
    gpu: str | None,
    engine: str | None,
    weights: str | None,
    model: str,
    kv_cache: str,
    tensor_parallel: int,
    data_parallel: int,
    expert_parallel: int,
    catalogs: str | None,
    calibration: str | None,
) -> int:
    """Fit your own factors from POINTS: tables as planner validate reads them, or result files.

    Result files (.json, .jsonl) of vllm bench serve, SGLang bench_serving, GuideLLM, genai-perf and
    AIPerf need --gpu, --engine and --weights, which they do not record. A handful of points is
    enough to improve their engine and GPU; what they say nothing about keeps its shipped value.

    Prints what was learned, what could not be, and which measurement to make next. Exit codes:
    0 written, 2 no point is usable or an option is missing, 4 catalog error.

    \b
    Examples:
      planner calibrate measured.csv -o my-calibration.yaml
      planner calibrate run.json --gpu l40s --engine vllm --weights fp8 -o my-calibration.yaml
      planner solve llama70b_qps50 --calibration my-calibration.yaml
    """
    from datetime import UTC, datetime

    from planner.accuracy.bench_files import Setting
    from planner.accuracy.own_fit import fit_own
    from planner.catalog.store import load_catalog
    from planner.performance.calibration_files import dump_fitted
    from planner.performance.factors import load_calibration
    from planner.reporting.accuracy_calibration import calibration_document
    from planner.reporting.deliver import write_document
    from planner.reporting.files import write_file

    setting = None
    if gpu and engine and weights:
        setting = Setting(
            gpu=gpu,
            engine=engine,
            weights=weights,
            tensor_parallel=tensor_parallel,
            data_parallel=data_parallel,
            expert_parallel=expert_parallel,
            model=model,
            kv_cache=kv_cache,
        )
    measured = [point for path in points for point in _read(Path(path), setting)]
    catalog = load_catalog(Path(catalogs) if catalogs else None)
    factors = load_calibration(catalog, Path(calibration) if calibration else None)
    fit = fit_own(measured, catalog, factors, datetime.now(UTC).date().isoformat())
    for point, reason in fit.failures:
        what = f"{point.model} on {point.gpu} at {point.concurrency}"
        click.echo(f"left out: {what}: {'; '.join(reason.splitlines())}", err=True)
    write_file(output, dump_fitted(fit.file))
    write_document(calibration_document(fit, output), "table", None, table="learned")
    return 0


def _read(path: Path, setting: Setting | None) -> list[Point]:
    from planner.accuracy.bench_files import read_bench_file
    from planner.accuracy.points import read_points
    from planner.errors import InputError

    if path.suffix.lower() in RESULT_SUFFIXES:
        if setting is None:
            raise InputError(
                "a result file does not say where it was measured",
                where=str(path),
                action="add --gpu, --engine and --weights (and --tensor-parallel)",
            )
        return [result.point(setting, str(path)) for result in read_bench_file(path)]
    table = read_points(path)
    for row in table.rows:
        if row.error:
            click.echo(f"{path}:{row.line}: {row.error}", err=True)
    for warning in table.warnings:
        click.echo(f"warning: {warning}", err=True)
    return list(table.points)
