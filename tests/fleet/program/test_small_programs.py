"""Small programs are not given what takes longer than solving them."""

import pytest

from planner.fleet.program import solver
from planner.fleet.program.linear_program import LinearProgram
from planner.fleet.program.solver import SolverLimits, minimise

highspy = pytest.importorskip("highspy")
OPTION = "mip_heuristic_run_feasibility_jump"


def _program(columns: int) -> tuple[LinearProgram, dict[int, float]]:
    """At least 2.5 of every column, whole numbers, at rising prices."""
    program = LinearProgram()
    for i in range(columns):
        column = program.integer("x", i)
        program.row("cover", (i,), {column: 1.0}, ">=", 2.5)
    return program, {i: 1.0 + i for i in range(columns)}


@pytest.mark.parametrize("columns", [3, solver.SMALL_COLUMNS + 1])
def test_a_feasibility_jump_is_left_to_large_programs(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched: list[bool] = []
    plain = highspy.Highs.setOptionValue

    def noted(highs: object, option: str, value: object) -> object:
        if option == OPTION:
            switched.append(bool(value))
        return plain(highs, option, value)

    monkeypatch.setattr(highspy.Highs, "setOptionValue", noted)
    program, prices = _program(columns)
    found = minimise(program, prices, SolverLimits())
    assert found.status == "optimal"
    assert found.objective == pytest.approx(3 * sum(prices.values()))
    assert switched == ([False] if columns <= solver.SMALL_COLUMNS else [])
