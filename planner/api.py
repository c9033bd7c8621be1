"""The planner from Python: the same functions the command line calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.catalog.store import Catalog, load_catalog
from planner.scenario import Scenario
from planner.scenario_reader import check_names, find_scenario, read_scenario

if TYPE_CHECKING:
    from planner.derivation import Beside, Derivation
    from planner.fleet.sized_before import SizedBefore
    from planner.plan import Plan


def solve(
    scenario: Scenario | str | Path,
    *,
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    verify: str = "simulate",
    solver: str = "highs",
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    seed: int = 0,
    rivals: int = 5,
    explain: bool = True,
    sized: SizedBefore | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Plan:
    """Return the cheapest fleet for a scenario, a file, or the name of a shipped scenario.

    ``verify``: "simulate" checks the chosen plan in the simulator and solves again where it fails;
    "none" keeps the closed form. ``gap``: relative gap at which the solver may stop. ``rivals``: how
    many other GPU types to price beside the plan. An infeasible scenario returns a plan with status
    "infeasible" that says why, unless ``explain`` is False. ``sized``: candidates remembered between
    solves with the same catalog and calibration. Raises InputError for bad input, CatalogError for
    bad data, SolverError when the solver fails.

    >>> plan = solve("llama70b_qps50", verify="none")
    >>> plan.status
    'optimal'
    """
    from planner.assembly import assemble
    from planner.performance.factors import load_calibration
    from planner.solved import Effort
    from planner.solving import solve_scenario

    started = time.monotonic()
    progress("reading catalogs")
    catalog = catalogs if isinstance(catalogs, Catalog) else load_catalog(_path(catalogs))
    base: Path | None = None
    if isinstance(scenario, Scenario):
        check_names(scenario, catalog)
    else:
        base = find_scenario(scenario).parent
        scenario = read_scenario(scenario, catalog)
    factors = load_calibration(catalog, _path(calibration))
    effort = Effort(verify, solver, time_limit_s, gap, seed, rivals, explain)
    solved = solve_scenario(
        scenario, catalog, factors, effort, base=base, sized=sized, progress=progress
    )
    return assemble(solved, catalog, factors, effort, time.monotonic() - started)


@dataclass(frozen=True)
class Explained:
    """Every service's derivation, the scenarios solved beside it, and the plan's exit code."""

    derivations: tuple[Derivation, ...]
    beside: tuple[Beside, ...]
    exit_code: int


def explain(scenario: str | Path, **options: Any) -> Explained:
    """Derive a scenario's plan step by step; ``options`` are those of ``solve``.

    Scenarios named in its ``beside`` are solved too, for comparison.
    """
    from planner.derivation import beside, derive

    catalog = options.pop("catalogs", None)
    catalog = catalog if isinstance(catalog, Catalog) else load_catalog(_path(catalog))
    plan = solve(scenario, catalogs=catalog, **options)
    folder = find_scenario(scenario).parent
    others = (
        folder / f"{name}.yaml" if (folder / f"{name}.yaml").is_file() else Path(name)
        for name in plan.scenario.beside
    )
    return Explained(
        derivations=derive(plan, catalog),
        beside=tuple(beside(solve(other, catalogs=catalog, **options)) for other in others),
        exit_code=plan.exit_code,
    )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
