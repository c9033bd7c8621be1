"""``planner diff``: what changed between two plans or scenarios, and why."""

from __future__ import annotations

import re
from dataclasses import asdict

import click

from planner.cli.options import catalog_options, counting, jobs_option, progress, solve_options
from planner.errors import InputError
from planner.solve_options import SolveOptions

FORMATS = ("table", "json", "md", "html", "csv")
EXIT_INCREASED = 1


@click.command(name="diff", short_help="what changed between two plans or scenarios, and why")
@click.argument("old")
@click.argument("new")
@click.option(
    "--fail-on-increase",
    "limit",
    metavar="PERCENT",
    help="Exit with 1 when the cost per hour rose by more than this, such as 5%.",
)
@click.option(
    "--split",
    "wants_parts",
    is_flag=True,
    help="Solve the steps between too, and say what each cause added.",
)
@solve_options(verify="simulate")
@jobs_option
@catalog_options
@click.option("--format", "style", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Write to a file.")
def command(
    old: str,
    new: str,
    limit: str | None,
    wants_parts: bool,
    jobs: int | None,
    catalogs: str | None,
    style: str,
    output: str | None,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Compare the plans OLD and NEW: plan files (.json), or scenarios to solve first.

    Exit codes: 0 compared, 1 the cost rose by more than --fail-on-increase, 2 invalid input.

    \b
    Examples:
      planner diff last.json now.json --fail-on-increase 5%
      planner diff last.json scenario.yaml --format md -o difference.md
      planner diff last.json scenario.yaml --split
    """
    from planner.comparison.differences import diff
    from planner.comparison.splitting import Part, split
    from planner.reporting.deliver import prepare, records, write_document
    from planner.reporting.difference_document import difference_document, headline
    from planner.session import Session
    from planner.workers import cores, solving_ahead

    allowed = None if limit is None else _share(limit)
    prepare(style, output)
    session = Session.open(catalogs, calibration, options)
    with progress() as report:
        report(f"reading {old}")
        before = session.plan_of(old)
        report(f"reading {new}")
        after = session.plan_of(new)
        difference = diff(before, after)
        parts: tuple[Part, ...] = ()
        if wants_parts and difference.changes:
            with solving_ahead(session, jobs or cores()) as solve:
                parts = split(difference.old, after, solve, counting(report))
    document = difference_document(difference, parts)
    write_document(
        document,
        style,
        output,
        table="values",
        data=lambda: {
            "headline": headline(difference),
            "increase": difference.increase,
            "causes": [{"kind": c.kind, "detail": c.detail} for c in difference.causes],
            "parts": [asdict(p) for p in parts],
            "changes": records(document, "values"),
        },
    )
    if allowed is not None and difference.exceeds(allowed):
        click.echo(f"the cost per hour rose by more than {limit}", err=True)
        return EXIT_INCREASED
    return 0


def _share(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%?\s*", text)
    if match is None:
        raise InputError(
            "not a percentage", where="--fail-on-increase", found=text, allowed="such as 5%"
        )
    return float(match[1]) / 100
