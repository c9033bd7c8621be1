"""The planner from Python: the same functions the command line calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from planner.catalog.store import Catalog
from planner.fleet.program.problem import Solver
from planner.scenario.reader import find_scenario
from planner.scenario.schema import Scenario
from planner.session import Session
from planner.solving.options import SolveKeywords, SolveOptions, Verify

if TYPE_CHECKING:
    from planner.batches.run import BatchResult
    from planner.comparison.options import Comparison
    from planner.comparison.sweeps import Sweep
    from planner.derivation.rows import Beside, Derivation
    from planner.fleet.sized_before import SizedBefore
    from planner.plan.schema import Plan


def solve(
    scenario: Scenario | str | Path,
    *,
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    verify: Verify = "simulate",
    solver: Solver = "highs",
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
    options = SolveOptions(verify, solver, time_limit_s, gap, seed, rivals, explain)
    progress("reading catalogs")
    session = Session.open(catalogs, calibration, options)
    return session.solve(scenario, sized=sized, progress=progress)


@dataclass(frozen=True)
class Explained:
    """Every service's derivation, the scenarios solved beside it, and the plan's exit code."""

    derivations: tuple[Derivation, ...]
    beside: tuple[Beside, ...]
    exit_code: int


def explain(
    scenario: str | Path,
    *,
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    progress: Callable[[str], None] = lambda _message: None,
    **options: Unpack[SolveKeywords],
) -> Explained:
    """Derive a scenario's plan step by step; ``options`` are those of ``solve``.

    Scenarios named in its ``compare_with`` are solved too. Raises InputError for a wrong scenario.
    """
    session = Session.open(catalogs, calibration, SolveOptions(**options))
    return explain_in(session, scenario, progress)


def explain_in(
    session: Session,
    scenario: str | Path,
    progress: Callable[[str], None] = lambda _message: None,
) -> Explained:
    """What ``explain`` returns, with the catalogs and options of ``session``."""
    from planner.derivation.derive import beside, derive

    plan = session.plan_of(scenario, progress=progress)
    folder = find_scenario(scenario).parent
    unchanged = replace(session, changes=())
    others = (
        folder / f"{name}.yaml" if (folder / f"{name}.yaml").is_file() else Path(name)
        for name in plan.scenario.compare_with
    )
    return Explained(
        derivations=derive(plan, session.catalog),
        beside=tuple(beside(unchanged.solve(other)) for other in others),
        exit_code=plan.exit_code,
    )


def compare(
    scenario: Scenario | str | Path,
    vary: Mapping[str, Sequence[object]],
    *,
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    **options: Unpack[SolveKeywords],
) -> Comparison:
    """Solve a scenario under each combination of restrictions, ``{"tensor_parallel": (2, 4)}``.

    ``options`` are those of ``solve``. The result's ``winner`` is the cheapest option, ``ranked`` all
    feasible ones. Raises InputError for an axis or value that cannot be.
    """
    from planner.comparison.options import compare as compared
    from planner.comparison.restriction import axes_of

    axes = axes_of(f"{axis}={','.join(map(str, values))}" for axis, values in vary.items())
    session = Session.open(catalogs, calibration, SolveOptions(**options))
    solve_variant = session.solver_of_variants()
    return compared(session.read(scenario), axes, solve_variant, check=session.check)


def sweep(
    scenario: Scenario | str | Path,
    axis: str,
    values: Sequence[float],
    *,
    refinements: int = 0,
    price_of: str | None = None,
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    **options: Unpack[SolveKeywords],
) -> Sweep:
    """Solve a scenario at each value of one input: rate, growth, ttft, price_factor, ...

    ``refinements``: how often to halve each interval in which the choice changes. ``price_of``: the GPU,
    provider or term that ``price_factor`` moves. ``options`` are those of ``solve``; unless
    given, ``verify`` is "none" and ``ranges`` is False: predicted latencies come without their intervals.
    Latency targets are in seconds.
    """
    from planner.comparison.sweeps import axis_named
    from planner.comparison.sweeps import sweep as swept

    moved = axis_named(axis, price_of)
    stated: SolveKeywords = {"verify": "none", "explain": False, "ranges": False}
    stated.update(options)
    session = Session.open(catalogs, calibration, SolveOptions(**stated))
    points = tuple(float(value) for value in values)
    solve_variant = session.solver_of_variants()
    return swept(session.read(scenario), moved, points, solve_variant, refinements=refinements)


def report(
    source: Plan | Scenario | str | Path,
    path: str | Path,
    *,
    style: str | None = None,
    quick: bool = False,
    table: str = "order",
    catalogs: str | Path | Catalog | None = None,
    calibration: str | Path | None = None,
    **options: Unpack[SolveKeywords],
) -> Plan:
    """Write a report on a plan, a plan's JSON file, or a scenario solved first; return the plan.

    ``style``: html, md, csv, xlsx, json or table; taken from the file's suffix unless given. ``quick``
    solves nothing again. ``table`` is the one CSV carries. Raises OutputError when the file cannot be
    written.
    """
    from planner.findings.gather import gather
    from planner.reporting.files import send
    from planner.reporting.output import Output
    from planner.reporting.plan.deliver_plan import write_findings
    from planner.solving.side_questions import SideQuestions

    session = Session.open(catalogs, calibration, SolveOptions(**options))
    plan = session.plan_of(source)
    style = style or Path(path).suffix.removeprefix(".")
    if style == "json":
        send(plan.to_json(), str(path))
        return plan
    brief = replace(session.options, verify="none", explain=False, ranges=False).beside()
    solve_variant = None if quick else session.solver_of_variants(brief, for_cost=True)
    questions = SideQuestions(brief)
    findings = gather(plan, session.catalog, session.factors, solve_variant, questions)
    write_findings(findings, Output(style, str(path), table))
    return plan


def batch(
    source: str | Path,
    out: str | Path,
    *,
    pattern: str | None = None,
    grid: Mapping[str, Sequence[object]] | None = None,
    engine: str = "local",
    jobs: int = 2,
    address: str | None = None,
    resume: bool = False,
    parquet: bool = False,
    catalogs: str | Path | None = None,
    calibration: str | Path | None = None,
    **options: Unpack[SolveKeywords],
) -> BatchResult:
    """Solve every scenario of a folder, or one scenario over a grid of values; a row each in ``out``.

    ``engine``: local, dask or ray, with ``jobs`` workers or at ``address``. ``options`` are those of
    ``solve``; catalogs are given as a folder, and ``verify`` is "none" unless given. Raises InputError
    when there is nothing to solve, OutputError when ``out`` cannot be written.
    """
    from planner.batches.answers import BatchOptions
    from planner.batches.run import run_batch

    stated: SolveKeywords = {"verify": "none", "rivals": 0, "explain": False}
    stated.update(options)
    batch_options = BatchOptions(
        str(catalogs) if catalogs else None,
        str(calibration) if calibration else None,
        SolveOptions(**stated),
    )

    axes = [f"{field}={','.join(map(str, values))}" for field, values in (grid or {}).items()]
    return run_batch(
        source,
        out,
        pattern=pattern,
        grid=axes,
        options=batch_options,
        engine=engine,
        jobs=jobs,
        address=address,
        resume=resume,
        parquet=parquet,
    )
