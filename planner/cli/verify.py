"""``planner verify``: recompute every number of a plan, and prove its cost again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.shared.options import catalog_options

if TYPE_CHECKING:
    from planner.catalog.offer import Offer
    from planner.catalog.store import Catalog
    from planner.plan.schema import Plan
    from planner.verification.check import Check

FAILED = 2


@click.command(name="verify")
@click.argument("plan", type=click.Path(dir_okay=False))
@catalog_options
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option("--failed-only", is_flag=True, help="List only what fails or was not checked.")
def command(
    plan: str, catalogs: str | None, calibration: str | None, style: str, failed_only: bool
) -> int:
    """Re-check PLAN, a JSON file written by planner solve ("-": piped in).

    Recomputes every value of the plan from its decision and the catalogs: sums, prices, demand, limits,
    packing, memory, percentiles, alternatives. Solves the program again, so that a dearer fleet or a
    bound that is not one fails; where the plan was checked in the simulator, simulates it again. What
    cannot be recomputed is listed as not checked. Exit codes: 0 every check holds, 2 a check fails or
    the file is no plan, 4 catalog error.

    \b
    Examples:
      planner solve llama70b_qps50 --format json -o plan.json
      planner verify plan.json
      planner verify plan.json --failed-only
    """
    from planner.catalog.store import load_catalog
    from planner.performance.factors import load_calibration
    from planner.plan.schema import read_plan
    from planner.reporting.files import as_json, send
    from planner.verification.check import Verdict
    from planner.verification.verify import failures, verify

    answer = read_plan(plan)
    catalog = load_catalog(catalogs)
    factors = load_calibration(catalog, calibration)
    folder = Path(plan).parent
    checks = verify(answer, catalog, factors, _price_list(answer, folder, catalog), folder)
    listed = [c for c in checks if not failed_only or c.verdict is not Verdict.HOLDS]
    if style == "json":
        send(as_json([asdict(c) for c in listed]), None)
    else:
        click.echo(_as_table(listed, checks))
    return FAILED if failures(checks) else 0


def _price_list(plan: Plan, folder: Path, catalog: Catalog) -> Sequence[Offer] | None:
    """The offers the scenario admits and the nodes it has; None without its own price file."""
    from planner.fleet.offers.admitted import offers_of

    file = plan.scenario.prices.file
    if file is not None and not (folder / file).is_file():
        return None
    return offers_of(plan.scenario, catalog, folder)


def _as_table(listed: Sequence[Check], checks: Sequence[Check]) -> str:
    lines: list[str] = []
    family = ""
    for check in listed:
        if check.family != family:
            family = check.family
            lines.append(f"\n{family}")
        required = f" {check.required}" if check.required else ""
        lines.append(f"  {check.verdict:<11}  {check.statement}: {check.found}{required}")
    counts = Counter(str(c.verdict) for c in checks)
    text = ", ".join(f"{verdict}: {n}" for verdict, n in counts.items())
    lines.append(f"\n{len(checks)} checks; {text}")
    return "\n".join(lines).lstrip("\n")
