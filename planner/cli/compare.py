"""``planner compare``: one scenario under several restrictions, side by side."""

from __future__ import annotations

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, jobs_option, solve_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.progress import counting, progress, say_stopped
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions


@click.command(name="compare")
@click.argument("scenario", type=SCENARIO)
@set_option
@click.option(
    "--vary",
    "vary",
    multiple=True,
    required=True,
    metavar="AXIS=A,B",
    help="Axis and values: tensor_parallel, gpu, weights, kv_cache, term, provider, engine or "
    "queue (priority, first-come: how request classes wait). "
    "Give it twice for a grid.",
)
@solve_options(verify="simulate")
@jobs_option
@catalog_options
@document_options("options")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    vary: tuple[str, ...],
    jobs: int | None,
    catalogs: str | None,
    output: Output,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Solve SCENARIO once under each restriction and say which wins, and why.

    Exit codes: 0 some option is feasible, 2 invalid input, 3 none is.

    \b
    Examples:
      planner compare llama70b_qps50 --vary tensor_parallel=2,4
      planner compare llama70b_qps50 --vary gpu=h100-sxm-80gb,l40s --vary weights=bf16,fp8
    """
    from planner.comparison.options import compare
    from planner.comparison.restriction import axes_of
    from planner.parallel.process_pool import cores, solving_ahead
    from planner.reporting.deliver import prepare, write_document
    from planner.reporting.studies.comparison_document import comparison_document, verdict
    from planner.session import Session

    axes = axes_of(vary)
    prepare(output)
    session = Session.open(catalogs, calibration, options, changes)
    question = session.read(scenario)
    with progress() as report, solving_ahead(session, jobs or cores()) as solve:
        comparison = compare(
            question, axes, solve, counting(report), check=session.check, keeps=True
        )
    document, winner = comparison_document(comparison), comparison.winner
    write_document(
        document,
        output,
        data=lambda: {
            "scenario": question.name,
            "axes": list(comparison.axes),
            "options": document.tables()["options"].records(),
            "winner": dict(winner.choice) if winner else None,
            "verdict": verdict(comparison),
        },
    )
    if comparison.stopped:
        return say_stopped()
    return 0 if winner else 3
