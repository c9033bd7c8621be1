"""A fleet made of covers: a first one, then better ones near it, under the bound of ``generation``."""

from __future__ import annotations

import time
from dataclasses import replace

from planner.fleet.program.decomposition.column_generation import Generation, tighten, widen
from planner.fleet.program.decomposition.fix_and_split import part_by_part
from planner.fleet.program.decomposition.neighbourhood_search import (
    FINE,
    FIRST_SHARE,
    blocks_of,
    improve,
)
from planner.fleet.program.linear_program import value
from planner.fleet.program.solver import SolverLimits, SolverResult, minimise, relative_gap


def cheapest_of_covers(made: Generation, effort: SolverLimits, deadline: float) -> SolverResult:
    """The cheapest fleet found from the covers known; no values where they make none."""
    found = _first(made, effort, deadline)
    if found.values is None or found.objective is None:
        return replace(found, status="unknown", bound=made.bound)
    bound = min(made.bound, found.objective)
    close = relative_gap(found.objective, bound) <= effort.gap
    found = replace(found, bound=bound, status="optimal" if close else "feasible")
    if close:
        return found
    tighten(made)
    model = made.columns.model
    return improve(model, made.objective, blocks_of(made.columns), found, effort, deadline)


def _first(made: Generation, effort: SolverLimits, deadline: float) -> SolverResult:
    """A fleet at the commitments the relaxation rounds to, period by period; else of all at once."""
    started = time.monotonic()
    seconds = (deadline - started) * FIRST_SHARE
    part = replace(effort, time_limit_s=max(seconds, 0.01), gap=effort.gap * FINE)
    lasting = _lasting(made)
    if lasting:
        widen(made, part, lasting)
        master = made.master()
        fixed = {n: lasting[i] for n, i in enumerate(master.others) if i in lasting}
        values = part_by_part(master.program, master.objective, fixed, part, started + seconds)
        if values is not None:
            plain, reached = master.replicas(values), value(master.objective, values)
            return SolverResult("feasible", plain, reached, None, time.monotonic() - started)
    master = made.master()
    found = minimise(master.program, master.objective, part)
    return replace(found, values=found.values and master.replicas(found.values))


def _lasting(made: Generation) -> dict[int, float]:
    """Committed nodes in whole numbers, where they are all that ties periods together."""
    columns = made.columns
    committed = {o.key for o in columns.problem.offers if o.committed}
    nodes = {i for (o, _, _), i in columns.nodes.items() if o in committed}
    if columns.choices or columns.removed:
        return {}
    relaxed = zip(made.others, made.relaxed, strict=True)
    return {i: float(round(amount)) for i, amount in relaxed if i in nodes}
