"""A program taken apart: with some columns fixed, what shares no row any more is solved on its own.

A fleet over time hangs together by its commitments alone. With those fixed every period is a small
program, and the cheapest of each make the cheapest whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from planner.fleet.linear import LinearProgram, Row, Terms
from planner.fleet.solver import Effort, minimise


def part_by_part(
    program: LinearProgram,
    objective: Terms,
    fixed: Mapping[int, float],
    effort: Effort,
    deadline: float,
) -> list[float] | None:
    """The columns' values with ``fixed`` held, each part solved alone; None where one has no answer.

    What is left until ``deadline`` is shared evenly among the parts that remain.
    """
    values = [fixed.get(i, 0.0) for i in range(len(program.columns))]
    parts = _parts(program, fixed)
    for number, (members, rows) in enumerate(parts):
        place = {i: n for n, i in enumerate(members)}
        small = LinearProgram([program.columns[i] for i in members])
        for row in rows:
            held = sum(c * fixed[i] for i, c in row.terms.items() if i in fixed)
            free = {place[i]: c for i, c in row.terms.items() if i not in fixed}
            small.row(row.family, row.key, free, row.sense, row.right - held)
        seconds = max((deadline - time.monotonic()) / (len(parts) - number), 0.05)
        terms = {place[i]: c for i, c in objective.items() if i in place}
        outcome = minimise(small, terms, replace(effort, time_limit_s=seconds))
        if outcome.values is None:
            return None
        for i, n in place.items():
            values[i] = outcome.values[n]
    return values if all(row.holds(values) for row in program.rows) else None


def _parts(program: LinearProgram, fixed: Mapping[int, float]) -> list[tuple[list[int], list[Row]]]:
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
    parts: dict[int, tuple[list[int], list[Row]]] = {}
    for i in range(len(program.columns)):
        if i not in fixed:
            parts.setdefault(root(i), ([], []))[0].append(i)
    for row in program.rows:
        free = [i for i in row.terms if i not in fixed]
        if free:
            parts[root(free[0])][1].append(row)
    return list(parts.values())
