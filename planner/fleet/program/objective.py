"""What the fleet program minimises, in order: unserved rate by weight, cost, then GPUs and TPOT."""

from __future__ import annotations

import time
from dataclasses import replace

from planner.fleet.program.constraints.migration import overlap_cost
from planner.fleet.program.decomposition.neighbourhood_search import (
    FIRST_SHARE,
    blocks_of,
    improve,
    worth_it,
)
from planner.fleet.program.linear_program import LinearProgram, Terms, combine
from planner.fleet.program.solver import SolverLimits, SolverResult, minimise
from planner.fleet.program.variables import Columns

KEPT = 1e-9  # how far a later objective may push an earlier one, relative


def cost(columns: Columns) -> dict[int, float]:
    """Mean USD per hour over the periods: nodes billed, and overlap while migrating."""
    problem = columns.problem
    hours = sum(problem.period_hours)
    prices = {o.key: o.usd_per_hour for o in problem.offers}
    running = ((h / hours, columns.billed(t, prices)) for t, h in enumerate(problem.period_hours))
    return combine(*running, (1.0, overlap_cost(columns)))


def hold_mean(columns: Columns) -> None:
    """What is paid on average over the periods within its limit."""
    most = columns.problem.limits.mean_usd_per_hour
    if most is not None:
        columns.model.row("budget", ("mean",), cost(columns), "<=", most)


def shortfalls(columns: Columns) -> list[dict[int, float]]:
    """Unserved requests per hour, one objective for each weight, the highest first."""
    problem = columns.problem
    demands = {s.key: s for s in problem.demands}
    by_weight: dict[float, dict[int, float]] = {}
    for (key, t), i in columns.short.items():
        lost = demands[key].rates_qps[t] * problem.period_hours[t]
        by_weight.setdefault(demands[key].weight, {})[i] = lost
    return [by_weight[w] for w in sorted(by_weight, reverse=True)]


def tie_break(columns: Columns) -> dict[int, float]:
    """GPUs billed and used, then TPOT weighted by the share it serves (all TPOTs count under 1 GPU)."""
    problem = columns.problem
    sizes = {o.key: float(o.gpus_per_node) for o in problem.offers}
    worst = max((k.tpot_s for k in problem.kinds), default=0.0) or 1.0
    fine = 0.25 / (worst * len(problem.demands) * len(problem.period_hours))
    parts: list[tuple[float, Terms]] = []
    for t in problem.periods:
        parts.append((1.0, columns.billed(t, sizes)))
        parts.extend((k.all_gpus, columns.running(k, t)) for k in problem.kinds)
    kinds = {k.key: k for k in problem.kinds}
    parts.extend((fine * kinds[d].tpot_s, {i: 1.0}) for (_, d, _), i in columns.shares.items())
    parts.extend((fine * kinds[d].tpot_s, {i: 1.0}) for (_, d), i in columns.choices.items())
    return combine(*parts)


def minimise_in_order(columns: Columns, effort: SolverLimits, deadline: float) -> SolverResult:
    """Solve for each objective in turn, holding the earlier ones; tells what was proved of the cost."""
    proved = True
    for terms in shortfalls(columns):
        outcome = minimise(columns.model, terms, until(effort, deadline))
        if outcome.values is None:
            return replace(outcome, objective=None, bound=None)
        proved = proved and outcome.status == "optimal"
        _hold(columns.model, "served", terms, outcome)
    first = _cheapest(columns, effort, deadline)
    if not proved and first.status == "optimal":
        first = replace(first, status="feasible")
    if first.status != "optimal" or effort.gap > 0 or effort.cost_alone:
        return first
    _hold(columns.model, "cost", cost(columns), first)
    second = minimise(columns.model, tie_break(columns), until(effort, deadline))
    return first if second.values is None else replace(first, values=second.values)


def _cheapest(columns: Columns, effort: SolverLimits, deadline: float) -> SolverResult:
    """The least cost; where only a gap is requested, most of the time goes into better fleets."""
    whole, terms = until(effort, deadline), cost(columns)
    if not worth_it(columns, effort):
        return minimise(columns.model, terms, whole)
    from planner.fleet.program.decomposition.column_generation import generate
    from planner.fleet.program.decomposition.cover_heuristic import cheapest_of_covers

    made = generate(columns, terms, whole)
    if made is not None:
        found = cheapest_of_covers(made, effort, deadline)
        if found.values is not None:
            return found
    part = replace(whole, time_limit_s=whole.time_limit_s * FIRST_SHARE)
    found = minimise(columns.model, terms, part)
    return improve(columns.model, terms, blocks_of(columns), found, effort, deadline)


def _hold(model: LinearProgram, name: str, terms: Terms, outcome: SolverResult) -> None:
    reached = outcome.objective or 0.0
    model.row("order", (name, len(model.rows)), terms, "<=", reached * (1 + KEPT) + KEPT)


def until(effort: SolverLimits, deadline: float) -> SolverLimits:
    """The same effort with the seconds that are left."""
    return replace(effort, time_limit_s=max(deadline - time.monotonic(), 0.01))
