"""``planner explain``: the derivation step by step, beside the textbook sizing."""

from __future__ import annotations

import click

from planner.cli.options import catalog_options, progress, solve_options
from planner.solve_options import SolveOptions


@click.command(name="explain", short_help="derive the plan step by step")
@click.argument("scenario")
@solve_options(verify="simulate")
@catalog_options
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "md", "json"]),
    default="table",
    show_default=True,
    help="How the derivation is told.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file.")
def command(
    scenario: str,
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
        session = Session.open(catalogs, calibration, options)
        explained = explain_in(session, scenario, report)
    if style == "table" and output is None:
        from rich.console import Console

        from planner.reporting.derivation_text import render_derivations

        Console().print(render_derivations(explained.derivations, explained.beside))
        return explained.exit_code
    from planner.reporting.derivation_text import derivations_as
    from planner.reporting.files import write_file

    text = derivations_as(style, explained.derivations, explained.beside)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(output, text)
    return explained.exit_code
