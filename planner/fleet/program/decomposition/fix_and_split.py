"""A program taken apart: with some columns fixed, what shares no row any more is solved on its own.

A fleet over time hangs together by its commitments alone. With those fixed every period is a small
program, and the cheapest of each make the cheapest whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from planner.fleet.program.linear_program import LinearConstraint, LinearProgram, Terms
from planner.fleet.program.solver import SolverLimits, SolverResult, minimise


def part_by_part(
    program: LinearProgram,
    objective: Terms,
    fixed: Mapping[int, float],
    effort: SolverLimits,
    deadline: float,
) -> list[float] | None:
    """The columns' values with ``fixed`` held, each part solved alone; None where one has no answer.

    What is left until ``deadline`` is shared evenly among the parts that remain.
    """
    values = [fixed.get(i, 0.0) for i in range(len(program.columns))]
    parts = _parts(program, fixed)
    for number, (members, rows) in enumerate(parts):
        seconds = max((deadline - time.monotonic()) / (len(parts) - number), 0.05)
        limited = replace(effort, time_limit_s=seconds)
        outcome = minimise_free(program, objective, members, rows, fixed, limited)
        if outcome.values is None:
            return None
        for i, found in zip(members, outcome.values, strict=True):
            values[i] = found
    return values if all(row.holds(values) for row in program.rows) else None


def minimise_free(
    program: LinearProgram,
    objective: Terms,
    free: Sequence[int],
    rows: Iterable[LinearConstraint],
    fixed: Mapping[int, float],
    effort: SolverLimits,
) -> SolverResult:
    """The ``free`` columns' best values where ``rows`` hold with all others as ``fixed``, in their order.

    Only the free columns reach the solver, and the objective is theirs alone.
    """
    place = {i: n for n, i in enumerate(free)}
    small = LinearProgram([program.columns[i] for i in free])
    for row in rows:
        terms = {place[i]: c for i, c in row.terms.items() if i in place}
        if terms:
            held = sum(c * fixed[i] for i, c in row.terms.items() if i not in place)
            small.row(row.family, row.key, terms, row.sense, row.right - held)
    return minimise(small, {place[i]: c for i, c in objective.items() if i in place}, effort)


def _parts(
    program: LinearProgram, fixed: Mapping[int, float]
) -> list[tuple[list[int], list[LinearConstraint]]]:
    """Columns that rows tie together once ``fixed`` are held, with their rows, in order."""
    parent = list(range(len(program.columns)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for row in program.rows:
        free = [i for i in row.terms if i not in fixed]
        for i in free[1:]:
            parent[root(i)] = root(free[0])
    parts: dict[int, tuple[list[int], list[LinearConstraint]]] = {}
    for i in range(len(program.columns)):
        if i not in fixed:
            parts.setdefault(root(i), ([], []))[0].append(i)
    for row in program.rows:
        free = [i for i in row.terms if i not in fixed]
        if free:
            parts[root(free[0])][1].append(row)
    return list(parts.values())
