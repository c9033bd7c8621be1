"""The planner from Python: the same functions the command line calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.asking import Asking
from planner.catalog.store import Catalog, load_catalog
from planner.scenario import Scenario
from planner.scenario_names import check_names
from planner.scenario_reader import find_scenario, read_scenario

if TYPE_CHECKING:
    from planner.batches.run import BatchResult
    from planner.comparison.options import Comparison
    from planner.comparison.sweeps import Sweep
    from planner.derivation.rows import Beside, Derivation
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
    from planner.assembly.write import assemble
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
    from planner.derivation.derive import beside, derive

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


def compare(
    scenario: Scenario | str | Path, vary: Mapping[str, Sequence[object]], **options: Any
) -> Comparison:
    """Solve a scenario under each combination of restrictions, ``{"tensor_parallel": (2, 4)}``.

    ``options`` are those of ``solve``. The result's ``winner`` is the cheapest option, ``ranked`` all
    feasible ones. Raises InputError for an axis or value that cannot be.
    """
    from planner.comparison.options import compare as compared
    from planner.comparison.restriction import axes_of

    axes = axes_of(f"{axis}={','.join(map(str, values))}" for axis, values in vary.items())
    asking = Asking.with_options(**options)
    return compared(asking.read(scenario), axes, asking.solve_again(), check=asking.check)


def sweep(
    scenario: Scenario | str | Path,
    axis: str,
    values: Sequence[float],
    *,
    refinements: int = 0,
    price_of: str | None = None,
    **options: Any,
) -> Sweep:
    """Solve a scenario at each value of one input: rate, growth, ttft, price_factor, ...

    ``refinements``: how often to halve each interval in which the choice flips. ``price_of``: the GPU,
    provider or term that ``price_factor`` moves. ``options`` are those of ``solve``; ``verify`` is
    "none" unless given. Latency targets are in seconds.
    """
    from planner.comparison.sweeps import axis_named
    from planner.comparison.sweeps import sweep as swept

    moved = axis_named(axis, price_of)
    asking = Asking.with_options(**{"verify": "none", **options})
    points = tuple(float(value) for value in values)
    solve_again = asking.solve_again(explain=False)
    return swept(asking.read(scenario), moved, points, solve_again, refinements=refinements)


def report(
    source: Plan | Scenario | str | Path,
    path: str | Path,
    *,
    style: str | None = None,
    quick: bool = False,
    table: str = "order",
    **options: Any,
) -> Plan:
    """Write a report on a plan, a plan's JSON file, or a scenario solved first; return the plan.

    ``style``: html, md, csv, xlsx, json or table; taken from the file's suffix unless given. ``quick``
    solves nothing again. ``table`` is the one CSV carries. Raises OutputError when the file cannot be
    written.
    """
    from planner.comparison.gathering import gather
    from planner.reporting.deliver import write_findings, write_plan

    asking = Asking.with_options(**options)
    plan = asking.plan_of(source)
    style = style or Path(path).suffix.removeprefix(".")
    if style == "json":
        write_plan(plan, style, str(path))
        return plan
    solve_again = None if quick else asking.solve_again(verify="none", explain=False)
    findings = gather(plan, asking.catalog, asking.calibration(), solve_again)
    write_findings(findings, style, str(path), table=table)
    return plan


def batch(
    source: str | Path,
    out: str | Path,
    *,
    pattern: str = "**/*.yaml",
    grid: Mapping[str, Sequence[object]] | None = None,
    engine: str = "local",
    jobs: int = 2,
    address: str | None = None,
    resume: bool = False,
    parquet: bool = False,
    **options: Any,
) -> BatchResult:
    """Solve every scenario of a folder, or one scenario over a grid of values; a row each in ``out``.

    ``engine``: local, dask or ray, with ``jobs`` workers or at ``address``. ``options`` are those of
    ``solve``; catalogs are given as a folder, and ``verify`` is "none" unless given. Raises InputError
    when there is nothing to solve, OutputError when ``out`` cannot be written.
    """
    from planner.batches.answers import Settings
    from planner.batches.run import run_batch

    axes = [f"{field}={','.join(map(str, values))}" for field, values in (grid or {}).items()]
    return run_batch(
        source,
        out,
        pattern=pattern,
        grid=axes,
        settings=Settings(**options),
        engine=engine,
        jobs=jobs,
        address=address,
        resume=resume,
        parquet=parquet,
    )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
