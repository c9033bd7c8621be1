"""How a scenario is solved: one value for Python, sessions, batches and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from planner.errors import InputError

Verify = Literal["simulate", "none"]
Solver = Literal["highs", "cbc"]


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """How hard to try, and what else to find out.

    ``verify``: "simulate" checks the chosen fleet in the simulator and solves again where it fails;
    "none" keeps the closed form. ``solver``: behind PuLP. ``time_limit_s``: what one solve may take
    [s]. ``gap``: relative gap at which the solver may stop. ``seed``: of solver and simulator.
    ``rivals``: how many other GPU types to price beside the plan. ``explain``: whether to look for the
    conflict and its relaxations when no fleet exists. Raises InputError for another ``verify``.
    """

    verify: Verify = "simulate"
    solver: Solver = "highs"
    time_limit_s: float = 60.0
    gap: float = 0.0
    seed: int = 0
    rivals: int = 5
    explain: bool = True

    def __post_init__(self) -> None:
        if self.verify not in get_args(Verify):
            raise InputError(
                "no such way to check a plan",
                where="verify",
                found=self.verify,
                allowed=", ".join(get_args(Verify)),
            )


DEFAULTS = SolveOptions()
BRIEF = SolveOptions(verify="none", rivals=0, explain=False)  # for many scenarios: one row each


class SolveKeywords(TypedDict, total=False):
    """The fields of ``SolveOptions`` as keyword arguments of the Python API."""

    verify: Verify
    solver: Solver
    time_limit_s: float
    gap: float
    seed: int
    rivals: int
    explain: bool
