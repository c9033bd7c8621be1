"""``planner explain``: the derivation step by step, beside the textbook sizing."""

from __future__ import annotations

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, solve_options
from planner.cli.shared.output_options import format_option, output_option
from planner.cli.shared.progress import progress
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions


@click.command(name="explain")
@click.argument("scenario", type=SCENARIO)
@set_option
@solve_options(verify="simulate")
@catalog_options
@format_option("table", "md", "json", text="Output format.")
@output_option
def command(
    scenario: str,
    changes: tuple[FieldChange, ...],
    style: str,
    output: str | None,
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
    if style == "table" and output is None:
        from planner.reporting.formats.rich_document import console
        from planner.reporting.plan.derivation_text import render_derivations

        console().print(render_derivations(explained.derivations, explained.beside))
        return explained.exit_code
    from planner.reporting.files import send
    from planner.reporting.plan.derivation_text import derivations_as

    send(derivations_as(style, explained.derivations, explained.beside), output)
    return explained.exit_code
