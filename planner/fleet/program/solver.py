"""Solvers behind PuLP: HiGHS, with CBC as the fallback, and what each one really proved.

A time limit is never read as a proof: both solvers report "Optimal" when they stop early, so the
status here follows from the incumbent, the dual bound and the gap alone.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import math
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from planner.errors import InputError, SolverError, nearest
from planner.fleet.program.linear_program import LinearProgram, Terms, value
from planner.fleet.program.problem import Solver, Status
from planner.fleet.program.solver_output import native_stdout_silenced

SOLVERS = ("highs", "cbc")
PROVED_GAP = 1e-6
SMALL_COLUMNS = (
    200  # up to which a feasibility jump, 5 ms whatever the program, takes longer than the rest
)
_scheduled: int | None = None  # threads HiGHS's scheduler of this process was started with
_CBC_BOUND = re.compile(r"^Lower bound:\s+(\S+)", re.MULTILINE)
_CBC_VERSION = re.compile(r"Version:\s*(\S+)")


@dataclass(frozen=True, slots=True)
class SolverLimits:
    """How long and how closely to solve: seconds [s], relative gap, threads, seed, which solver.

    ``cost_alone``: stop once the cost is proved, without choosing among equally cheap fleets.
    """

    time_limit_s: float = 60.0
    gap: float = 0.0
    solver: Solver = "highs"
    seed: int = 0
    threads: int = 1
    cost_alone: bool = False

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise InputError(
                "unknown solver",
                found=self.solver,
                allowed=", ".join(SOLVERS),
                action=nearest(self.solver, SOLVERS),
            )
        if not (self.time_limit_s > 0 and math.isfinite(self.time_limit_s)):
            raise InputError(
                "the time limit must be positive",
                found=self.time_limit_s,
                allowed="seconds above 0",
            )
        if not 0 <= self.gap < 1:
            raise InputError("the gap must lie in [0, 1)", found=self.gap)


@dataclass(frozen=True, slots=True)
class SolverResult:
    """What one solve proved.

    ``status``: "optimal" (gap within the tolerance requested, at least 1e-6), "feasible" (an
    incumbent without that proof), "infeasible", or "unknown" (neither). ``values``: one per column.
    """

    status: Status
    values: list[float] | None
    objective: float | None
    bound: float | None
    seconds: float

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / |objective|``; None without both."""
        if self.objective is None or self.bound is None:
            return None
        return relative_gap(self.objective, self.bound)


def relative_gap(objective: float, bound: float) -> float:
    """How far the bound is below the objective, as a share of the objective."""
    distance = max(0.0, objective - bound)
    return distance / abs(objective) if abs(objective) > 1e-12 else distance


def minimise(program: LinearProgram, objective: Terms, effort: SolverLimits) -> SolverResult:
    """Minimise ``objective`` over the program's rows.

    Raises SolverError when the solver crashes or is missing.
    """
    started = time.monotonic()
    if any(not row.terms and not row.holds([]) for row in program.rows):
        return SolverResult("infeasible", None, None, None, time.monotonic() - started)
    if not program.columns:
        return SolverResult("optimal", [], 0.0, 0.0, time.monotonic() - started)
    problem, columns = _to_pulp(program, objective)
    run = _run_highs if effort.solver == "highs" else _run_cbc
    proved, incumbent, bound = run(problem, effort)
    seconds = time.monotonic() - started
    if proved == "infeasible":
        return SolverResult("infeasible", None, None, None, seconds)
    if not incumbent:
        return SolverResult("unknown", None, None, bound, seconds)
    values = [_clean(c.varValue, program.columns[i].integer) for i, c in enumerate(columns)]
    reached = value(objective, values)
    if proved == "optimal" and bound is None:
        bound = reached
    if bound is not None:
        bound = min(bound, reached)
    close = bound is not None and relative_gap(reached, bound) <= max(effort.gap, PROVED_GAP)
    return SolverResult("optimal" if close else "feasible", values, reached, bound, seconds)


def relaxation(
    program: LinearProgram, objective: Terms, effort: SolverLimits
) -> tuple[list[float], list[float]] | None:
    """Values of the columns and dual values of the rows of a program without whole numbers.

    None where the solver does not end with an optimum.
    """
    problem, columns = _to_pulp(program, objective)
    run = _run_highs if effort.solver == "highs" else _run_cbc
    proved, incumbent, _ = run(problem, effort)
    if proved != "optimal" or not incumbent:
        return None
    named = {r.name: r for r in _rows(problem)}
    duals = [
        float(named[f"r{k}"].pi or 0.0) if row.terms else 0.0 for k, row in enumerate(program.rows)
    ]
    return [float(c.varValue or 0.0) for c in columns], duals


def usable(solver: Solver) -> Solver:
    """The solver that can run: CBC, which PuLP brings along, where HiGHS is not installed."""
    if solver == "highs" and importlib.util.find_spec("highspy") is None:
        return "cbc"
    return solver


@lru_cache(maxsize=2)
def solver_version(solver: Solver) -> str:
    """The version of the solver that runs, as it reports it."""
    if solver == "highs":
        return importlib.metadata.version("highspy")
    import pulp.apis.coin_api

    path = pulp.apis.coin_api.pulp_cbc_path
    try:
        said = subprocess.run([path, "-quit"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    match = _CBC_VERSION.search(said)
    return match[1] if match else "unknown"


def _to_pulp(program: LinearProgram, objective: Terms) -> tuple[Any, list[Any]]:
    import pulp

    problem = pulp.LpProblem("fleet", pulp.LpMinimize)
    columns = [
        problem.add_variable(
            f"x{i}", c.low, c.high, pulp.LpInteger if c.integer else pulp.LpContinuous
        )
        for i, c in enumerate(program.columns)
    ]
    problem.setObjective(
        pulp.LpAffineExpression([(c, objective.get(i, 0.0)) for i, c in enumerate(columns)])
    )
    senses = {"<=": pulp.LpConstraintLE, ">=": pulp.LpConstraintGE, "==": pulp.LpConstraintEQ}
    for k, row in enumerate(program.rows):
        if row.terms:
            left = pulp.LpAffineExpression([(columns[i], c) for i, c in row.terms.items()])
            problem.addConstraint(
                pulp.LpConstraint(left, senses[row.sense], rhs=row.right), f"r{k}"
            )
    return problem, columns


def _run_highs(problem: Any, effort: SolverLimits) -> tuple[str, bool, float | None]:
    import highspy
    import pulp

    _schedule(highspy.Highs, effort.threads)
    solver = pulp.HiGHS(
        msg=False,
        gapRel=effort.gap,
        threads=effort.threads,
        timeLimit=effort.time_limit_s,
        random_seed=effort.seed,
    )
    solver.buildSolverModel = _hand_over
    solver.callSolver = _run_interruptible
    try:
        with native_stdout_silenced():
            problem.solve(solver)
    except (pulp.PulpError, KeyError) as error:
        raise SolverError(f"HiGHS stopped: {error}") from None
    model = problem.solverModel
    status = model.getModelStatus()
    states = highspy.HighsModelStatus
    if status in (states.kInfeasible, states.kUnboundedOrInfeasible):
        return "infeasible", False, None
    info = model.getInfo()
    incumbent = math.isfinite(info.objective_function_value) and info.primal_solution_status == 2
    bound = float(info.mip_dual_bound) if problem.isMIP() else None
    if bound is not None and not math.isfinite(bound):
        bound = None
    return ("optimal" if status == states.kOptimal else "stopped"), incumbent, bound


def _hand_over(problem: Any) -> None:
    """Give HiGHS a PuLP problem as arrays: column by column takes as long as solving it."""
    import highspy
    import numpy as np
    import pulp

    columns, rows = problem.variables(), _rows(problem)
    for i, column in enumerate(columns):
        column.index = i
    starts, indices, values = [0], [], []
    for k, row in enumerate(rows):
        row.index = k
        for column, coefficient in row.items():
            if coefficient != 0:
                indices.append(column.index)
                values.append(coefficient)
        starts.append(len(indices))
    inf, kinds = highspy.kHighsInf, highspy.HighsVarType
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(columns), len(rows)
    model.col_cost_ = np.array([problem.objective.get(c, 0.0) for c in columns], float)
    model.col_lower_ = np.array([_or(c.lowBound, -inf) for c in columns], float)
    model.col_upper_ = np.array([_or(c.upBound, inf) for c in columns], float)
    model.row_lower_ = np.array([_or(r.getLb(), -inf) for r in rows], float)
    model.row_upper_ = np.array([_or(r.getUb(), inf) for r in rows], float)
    model.integrality_ = [
        kinds.kInteger if c.cat == pulp.LpInteger else kinds.kContinuous for c in columns
    ]
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.array(starts, np.int32)
    model.a_matrix_.index_ = np.array(indices, np.int32)
    model.a_matrix_.value_ = np.array(values, float)
    highs = problem.solverModel
    if len(columns) <= SMALL_COLUMNS:
        highs.setOptionValue("mip_heuristic_run_feasibility_jump", False)
    highs.passModel(model)


def _run_interruptible(problem: Any) -> None:
    """Run HiGHS so that Ctrl-C ends it: its own loop would not hear it before the time limit."""
    highs = problem.solverModel
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or problem.numVariables() <= SMALL_COLUMNS:
        highs.run()
        return
    highs.HandleUserInterrupt = True
    running = threading.Thread(target=highs.run, daemon=True)
    running.start()
    try:
        running.join()
    except KeyboardInterrupt:
        highs.cancelSolve()
        running.join()
        raise


def _rows(problem: Any) -> list[Any]:
    """The constraints, which PuLP keeps by name or as a list, by its version."""
    rows = problem.constraints()
    return list(rows.values() if isinstance(rows, dict) else rows)


def _or(bound: float | None, unbounded: float) -> float:
    return unbounded if bound is None else float(bound)


def _schedule(highs: Any, threads: int) -> None:
    """HiGHS refuses another number of threads in one process until its scheduler is reset (80 ms)."""
    global _scheduled
    if _scheduled not in (None, threads):
        highs.resetGlobalScheduler(True)
    _scheduled = threads


def load_solver() -> None:
    """Import what a solve takes, without solving anything."""
    importlib.import_module("pulp")
    with contextlib.suppress(ImportError):  # CBC solves where HiGHS is not installed
        importlib.import_module("highspy")


def has_run() -> bool:
    """Whether HiGHS has run in this process, which may leave threads of its own behind."""
    return _scheduled is not None


def _run_cbc(problem: Any, effort: SolverLimits) -> tuple[str, bool, float | None]:
    import pulp
    import pulp.apis.coin_api

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "cbc.log"
        try:
            problem.solve(
                pulp.COIN_CMD(
                    path=pulp.apis.coin_api.pulp_cbc_path,
                    msg=False,
                    gapRel=effort.gap,
                    threads=effort.threads if effort.threads > 1 else None,
                    timeLimit=effort.time_limit_s,
                    logPath=str(log),
                    options=[f"randomSeed {effort.seed}", f"randomCbcSeed {effort.seed}"],
                )
            )
        except pulp.PulpError as error:
            raise SolverError(f"CBC stopped: {error}") from None
        said = log.read_text(encoding="utf-8", errors="replace")
    if problem.status == pulp.LpStatusInfeasible or "Problem is infeasible" in said:
        return "infeasible", False, None
    incumbent = problem.sol_status in (
        pulp.LpSolutionOptimal,
        pulp.LpSolutionIntegerFeasible,
    )
    stated = _CBC_BOUND.search(said)
    stopped = problem.sol_status != pulp.LpSolutionOptimal or stated is not None
    return (
        "stopped" if stopped else "optimal",
        incumbent,
        float(stated[1]) if stated else None,
    )


def _clean(number: float | None, integer: bool) -> float:
    if number is None:
        return 0.0
    if integer:
        return float(round(number))
    return 0.0 if abs(number) < 1e-12 else float(number)
