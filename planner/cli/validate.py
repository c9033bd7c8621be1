"""``planner validate``: every problem of a scenario file, without solving it."""

from __future__ import annotations

from pathlib import Path

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.notes import note
from planner.cli.shared.output_options import catalogs_option
from planner.scenario.changes import FieldChange
from planner.units import counted

INVALID = 2
TABLES = (".csv", ".tsv")


@click.command(name="validate")
@click.argument("scenario", type=SCENARIO)
@set_option
@catalogs_option
@click.pass_context
def command(
    ctx: click.Context, /, scenario: str, changes: tuple[FieldChange, ...], catalogs: str | None
) -> int:
    """List every problem of SCENARIO, with file, line and field, without solving it.

    Warnings go to stderr. Exit codes: 0 the scenario is valid, 2 it is not, 4 catalog error.

    A table of measured points (.csv) is passed on to: planner accuracy.

    \b
    Examples:
      planner validate mine.yaml
      planner validate llama70b_qps50 --set rate=80
    """
    from planner.catalog.store import load_catalog
    from planner.scenario.changes import with_changes
    from planner.scenario.examination import examined
    from planner.scenario.notes import notes_on
    from planner.scenario.reader import find_scenario, name_of, read_source

    if Path(scenario).suffix.lower() in TABLES:
        return _accuracy(ctx, scenario, catalogs)
    path = find_scenario(scenario)
    source = with_changes(read_source(path), changes)
    catalog = load_catalog(catalogs)
    _, problems = examined(source, path.parent, name_of(path), catalog)
    for warning in notes_on(source):
        note(f"warning: {warning.text}")
    for problem in problems:
        click.echo(str(problem))
    click.echo(f"{source.path}: {counted(len(problems), 'problem') if problems else 'valid'}")
    return INVALID if problems else 0


def _accuracy(ctx: click.Context, points: str, catalogs: str | None) -> int:
    from planner.cli.accuracy import command as accuracy

    note("warning: planner validate POINTS.csv is now called planner accuracy POINTS.csv")
    given = ["--catalogs", catalogs] if catalogs else []
    with accuracy.make_context("accuracy", [points, *given], parent=ctx.parent) as inner:
        code = accuracy.invoke(inner)
    return code if isinstance(code, int) else 0
