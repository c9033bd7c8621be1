"""What shares no row once some columns are fixed is solved on its own."""

from __future__ import annotations

import time
from dataclasses import replace

import fleet_instances
import pytest

from planner.fleet.program.decomposition.fix_and_split import part_by_part
from planner.fleet.program.linear_program import LinearProgram, value
from planner.fleet.program.objective import cost
from planner.fleet.program.program import build
from planner.fleet.program.solver import SolverLimits, minimise


def test_parts_together_are_the_cheapest_whole() -> None:
    compared = 0
    for seed in range(30):
        problem = fleet_instances.periods(seed)
        columns = build(problem)
        committed = {o.key for o in problem.offers if o.committed}
        fixed = {i: 1.0 for (o, _, _), i in columns.nodes.items() if o in committed}
        held = LinearProgram(
            [
                replace(c, low=fixed[i], high=fixed[i]) if i in fixed else c
                for i, c in enumerate(columns.model.columns)
            ],
            columns.model.rows,
        )
        objective = cost(columns)
        whole = minimise(held, objective, SolverLimits())
        parts = part_by_part(columns.model, objective, fixed, SolverLimits(), time.monotonic() + 20)
        assert (parts is None) == (whole.values is None)
        if parts is not None:
            compared += 1
            assert value(objective, parts) == pytest.approx(whole.objective, abs=1e-6)
    assert compared > 5
