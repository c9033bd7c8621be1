"""``planner batch``: many scenario files, one row each, resumable."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import click

from planner.cli.shared.notes import note, shows_progress
from planner.cli.shared.options import catalog_options, solve_options
from planner.cli.shared.progress import EVERY_S, ProgressLines, rest_text
from planner.solving.options import SolveOptions

MOST_PROBLEMS = 5  # shown on stderr; rows.csv holds all


@click.command(name="batch")
@click.argument("source", type=click.Path(exists=False))
@click.argument("pattern", required=False)
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the results.")
@click.option(
    "--grid",
    multiple=True,
    metavar="FIELD=A,B",
    help="With one file: solve it over these values; repeat for a grid.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Workers to start."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "dask", "ray"]),
    default="local",
    show_default=True,
    help="Where it runs.",
)
@click.option("--address", help="A running Dask scheduler or Ray cluster.")
@click.option("--resume", is_flag=True, help="Keep finished rows and do the rest.")
@click.option("--parquet", is_flag=True, help="Also write rows.parquet.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="With one file: change a field of it before anything else; may be repeated.",
)
@solve_options(verify="none")
@catalog_options
def command(
    source: str,
    pattern: str | None,
    output: str,
    grid: tuple[str, ...],
    settings: tuple[str, ...],
    jobs: int,
    engine: str,
    address: str | None,
    resume: bool,
    parquet: bool,
    catalogs: str | None,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Solve every scenario under SOURCE that matches PATTERN, or one file over a --grid.

    Without PATTERN every .yaml and .yml file, in folders too; what is left out is named.

    Writes rows.jsonl as rows finish, then rows.csv and summary.html. One bad file never stops the
    rest: its row says why. After Ctrl-C, --resume continues.

    Exit codes: 2 some scenarios are invalid, else 5 some are unproven, else 3 some are infeasible,
    else 0.

    \b
    Examples:
      planner batch scenarios/ -o out/
      planner batch llama70b_qps50 --grid rate=10,20,50,100 --grid slo.ttft_p99=1s,2s -o out/
      planner batch scenarios/ 'rag*.yaml' -o out/ --engine dask --address tcp://host:8786
    """
    from planner.batches.answers import BatchOptions
    from planner.batches.run import run_batch

    brief = replace(options, rivals=0, explain=False, ranges=False)
    batch_options = BatchOptions(catalogs, calibration, brief)
    left_out: list[str] = []
    with _bar() as progress:
        try:
            result = run_batch(
                source,
                output,
                pattern=pattern,
                grid=(*(_one_value(text) for text in settings), *grid),
                options=batch_options,
                engine=engine,
                jobs=jobs,
                address=address,
                resume=resume,
                parquet=parquet,
                progress=progress,
                left_out=lambda path, why: left_out.append(f"{path} ({why})"),
            )
        except KeyboardInterrupt:
            click.echo(
                f"interrupted; finished rows are kept in {output}, go on with --resume", err=True
            )
            return 130
    counts = ", ".join(f"{n} {status}" for status, n in sorted(result.counts.items()))
    reused = f" ({result.reused} kept from before)" if result.reused else ""
    many = "" if len(result.rows) == 1 else "s"
    click.echo(f"{len(result.rows)} scenario{many}{reused}: {counts}")
    if left_out:
        more = len(left_out) - MOST_PROBLEMS
        named = ", ".join(left_out[:MOST_PROBLEMS])
        note(f"left out: {named}" + (f" and {more} more" if more > 0 else ""))
    for row in result.problems[:MOST_PROBLEMS]:
        note(f"{row['id']}: {row['status']}: {row['error']}")
    if len(result.problems) > MOST_PROBLEMS:
        more = len(result.problems) - MOST_PROBLEMS
        note(f"and {more} more: see the column error of rows.csv")
    click.echo(f"rows.jsonl, rows.csv and summary.html are in {output}")
    return result.exit_code


def _one_value(text: str) -> str:
    """``--set`` as a grid axis with one value, a list among them."""
    from planner.scenario.changes import read_change

    change = read_change(text)
    return f"{change.field}={json.dumps(change.value, default=str)}"


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on stderr; where that is no terminal, a line every ten seconds as rows finish."""
    if not shows_progress():
        # without a thread of its own either
        lines = ProgressLines("", EVERY_S)
        started = time.monotonic()

        def line(done: int, total: int, label: str) -> None:
            spent = time.monotonic() - started
            left = f", about {rest_text(spent / done * (total - done))} left" if done else ""
            lines.show(f"{done}/{total} done{left}: {label}")
            lines.say()

        yield line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[at]}"),
    )
    # without a thread of its own, so that workers can be copies of this process
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task("", total=None, at="")

        def show(done: int, total: int, label: str) -> None:
            bar.update(task, completed=done, total=total, at=label, refresh=True)

        yield show
