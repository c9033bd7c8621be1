"""``planner explain``: the derivation step by step, beside the textbook sizing."""

from __future__ import annotations

from dataclasses import asdict

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, solve_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.progress import progress
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions


@click.command(name="explain")
@click.argument("scenario", type=SCENARIO)
@set_option
@solve_options(verify="simulate")
@catalog_options
@document_options("steps")
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    output: Output,
    catalogs: str | None,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Derive the plan for SCENARIO, formula by formula, beside the sizing by memory alone.

    Each row gives the formula, the numbers put in and the result; the last line says in a sentence
    why the two columns differ.

    \b
    Examples:
      planner explain llama70b_qps50
      planner explain deepseek_v3_8xh100_int4 --format md
    """
    from planner.api import explain_in
    from planner.session import Session

    with progress() as report:
        session = Session.open(catalogs, calibration, options, changes)
        explained = explain_in(session, scenario, report)
    from planner.reporting.deliver import write_document
    from planner.reporting.files import send
    from planner.reporting.tables.derivation_tables import derivation_document
    from planner.reporting.tables.derivation_text import page_of_derivations, render_derivations

    found = (explained.derivations, explained.beside)
    if output.on_screen:
        from planner.reporting.formats.rich_document import console

        console().print(render_derivations(*found))
    elif output.format == "table":
        send(page_of_derivations(*found), output.file)
    else:
        write_document(
            derivation_document(f"How {scenario} is sized", *found),
            output,
            data=lambda: {
                "derivations": [asdict(d) for d in explained.derivations],
                "beside": [asdict(b) for b in explained.beside],
            },
        )
    return explained.exit_code
