"""``planner diff``: what changed between two plans or scenarios, and why."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import click

from planner.cli.shared.names import SCENARIO, set_option
from planner.cli.shared.options import catalog_options, jobs_option, solve_options
from planner.cli.shared.output_options import document_options
from planner.cli.shared.progress import counting, progress
from planner.errors import InputError
from planner.reporting.output import Output
from planner.scenario.changes import FieldChange
from planner.solving.options import SolveOptions

EXIT_INCREASED = 1


@click.command(name="diff")
@click.argument("old", type=SCENARIO)
@click.argument("new", type=SCENARIO)
@set_option
@click.option(
    "--fail-on-increase",
    "limit",
    metavar="PERCENT",
    help="Exit with 1 when the cost per hour or what is paid upfront rose by more than this: 5%.",
)
@click.option(
    "--split",
    "wants_parts",
    is_flag=True,
    help="Also solve the steps in between, and print what each cause added.",
)
@solve_options(verify="simulate")
@jobs_option
@catalog_options
@document_options("differences")
def command(
    old: str,
    new: str,
    changes: tuple[FieldChange, ...],
    limit: str | None,
    wants_parts: bool,
    jobs: int | None,
    catalogs: str | None,
    output: Output,
    calibration: str | None,
    options: SolveOptions,
) -> int:
    """Compare the plans OLD and NEW: plan files (.json), or scenarios to solve first.

    --set changes NEW. CSV has a row for each cause, for what each added (--split) and for each
    change; --table picks another table.
    Exit codes: 0 compared, 1 cost or upfront rose by more than --fail-on-increase, 2 invalid input.

    \b
    Examples:
      planner diff last.json now.json --fail-on-increase 5%
      planner diff last.json scenario.yaml --format md -o difference.md
      planner diff last.json scenario.yaml --split
      planner diff llama70b_qps50 llama70b_qps50 --set rate=80
    """
    from planner.comparison.differences import diff
    from planner.comparison.splitting import CostPart, split
    from planner.parallel.process_pool import cores, solving_ahead
    from planner.reporting.deliver import prepare, write_document
    from planner.reporting.studies.difference_document import difference_document, headline
    from planner.session import Session

    allowed = None if limit is None else _share(limit)
    prepare(output)
    session = Session.open(catalogs, calibration, options)
    with progress() as report:
        report(f"reading {old}")
        before = session.plan_of(old)
        report(f"reading {new}")
        after = replace(session, changes=changes).plan_of(new)
        difference = diff(before, after)
        parts: tuple[CostPart, ...] = ()
        if wants_parts and difference.changes:
            with solving_ahead(session, jobs or cores()) as solve:
                parts = split(difference.old, after, solve, counting(report))
    document = difference_document(difference, parts)
    write_document(
        document,
        output,
        data=lambda: {
            "headline": headline(difference),
            "increase": difference.increase,
            "causes": [{"kind": c.kind, "detail": c.detail} for c in difference.causes],
            "parts": [asdict(p) for p in parts],
            "changes": document.tables()["values"].records(),
        },
    )
    rose = difference.increased(allowed) if allowed is not None else ()
    if rose:
        click.echo(f"{' and '.join(rose)} rose by more than {limit}", err=True)
        return EXIT_INCREASED
    return 0


def _share(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%?\s*", text)
    if match is None:
        raise InputError(
            "not a percentage", where="--fail-on-increase", found=text, allowed="such as 5%"
        )
    return float(match[1]) / 100
