"""``planner sweep``: one input over a range, what the answer costs, and where the choice changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, jobs_option, solve_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.paths import OUTPUT_FILE
from planner.cli.shared.progress import counting, progress, say_stopped
from planner.errors import InputError
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions

_RANGES = {
    "rate": "Total request rate [requests/s].",
    "growth": "Growth of demand as a share: 0..1 is from today's to twice today's.",
    "prompt_tokens": "Mean prompt length [tokens].",
    "output_tokens": "Mean output length [tokens].",
    "ttft": "Strictest TTFT target: 0.5s..4s.",
    "tpot": "Strictest TPOT target: 20ms..100ms.",
    "e2e": "Strictest end-to-end target: 5s..60s.",
    "price_factor": "Factor on prices; --price-of narrows it to one GPU, provider or term.",
}


def _ranges(command: Any) -> Any:
    for name, text in reversed(_RANGES.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="LOW..HIGH", help=text)(command)
    return command


@click.command(name="sweep")
@click.argument("scenario", type=SCENARIO)
@set_option
@_ranges
@click.option("--price-of", metavar="NAME", help="What --price-factor applies to; all prices.")
@click.option("--steps", type=int, default=20, show_default=True, help="Points along the range.")
@click.option(
    "--refine",
    type=click.IntRange(0, 10),
    default=2,
    show_default=True,
    help="How often to halve each interval in which the choice changes.",
)
@solve_options(verify="none")
@jobs_option
@catalog_options
@document_options("points")
@click.option("--chart", type=OUTPUT_FILE, help="Also write the chart to this SVG file.")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    price_of: str | None,
    steps: int,
    refine: int,
    jobs: int | None,
    catalogs: str | None,
    output: Output,
    chart: str | None,
    calibration: str | None,
    options: SolveOptions,
    **ranges: str | None,
) -> int:
    """Solve SCENARIO along a range of one input: the cost curve, and where the choice changes.

    Exit codes: 0 some point is feasible, 2 invalid input, 3 none is.

    \b
    Examples:
      planner sweep llama70b_qps50 --rate 10..200 --steps 20
      planner sweep llama70b_qps50 --ttft 0.5s..4s --format csv -o ttft.csv
      planner sweep llama70b_qps50 --price-factor 0.5..1.5 --price-of h100-sxm-80gb
    """
    from planner.comparison.sweeps import axis_named, read_values, sweep
    from planner.parallel.process_pool import cores, solving_ahead
    from planner.reporting.deliver import prepare, write_document
    from planner.reporting.files import write_file
    from planner.reporting.optional_packages import need
    from planner.reporting.studies.sweep_document import cost_figure, flips_records, sweep_document
    from planner.session import Session

    given = {name: text for name in _RANGES if (text := ranges[name]) is not None}
    if len(given) != 1:
        raise InputError(
            "give exactly one range to sweep",
            found=", ".join(given) or "none",
            allowed=", ".join(f"--{n.replace('_', '-')} LOW..HIGH" for n in _RANGES),
        )
    name, text = next(iter(given.items()))
    axis = axis_named(name, price_of)
    values = read_values(axis, text, steps)
    prepare(output, chart)
    if chart is not None:
        need("matplotlib", "the chart")
    session = Session.open(
        catalogs, calibration, replace(options, explain=False, ranges=False), changes
    )
    question = session.read(scenario)
    with progress() as report, solving_ahead(session, jobs or cores()) as solve:
        counted = counting(report)
        swept = sweep(
            question, axis, values, solve, refinements=refine, progress=counted, keeps=True
        )
    document = sweep_document(swept)
    write_document(
        document,
        output,
        data=lambda: {
            "scenario": question.name,
            "axis": axis.name,
            "points": document.tables()["points"].records(),
            "flips": flips_records(swept),
        },
    )
    if chart is not None:
        from planner.reporting.charts.canvas import standalone

        write_file(chart, standalone(cost_figure(swept).draw()))
    if swept.stopped:
        return say_stopped()
    return 0 if any(p.plan.totals for p in swept.points) else 3
