"""Options of the commands that solve."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from planner import cache_folder
from planner.cli.shared.numbers import FiniteRange
from planner.cli.shared.output_options import catalogs_option, stacked
from planner.fleet.program.problem import Solver
from planner.solving.options import SolveOptions, Verify

Command = TypeVar("Command", bound=Callable[..., Any])


def verify_option(default: str) -> Callable[[Command], Command]:
    """Whether the chosen plan is simulated."""
    return click.option(
        "--verify",
        type=click.Choice(["none", "simulate"]),
        default=default,
        show_default=True,
        help="Check the chosen plan in the simulator, and solve again where it fails.",
    )


solver_option = click.option(
    "--solver",
    type=click.Choice(["highs", "cbc"]),
    default="highs",
    show_default=True,
    help="Integer-programming solver.",
)
time_limit_option = click.option(
    "--time-limit",
    type=FiniteRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds the solver may take.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed."
)
side_limit_option = click.option(
    "--side-limit",
    type=FiniteRange(min=0),
    help="Seconds for everything solved besides the plan, in total: alternatives, why no fleet exists, what "
    "a report or a frontier solves again.  [default: twice --time-limit]",
)


def solve_options(verify: str) -> Callable[[Command], Command]:
    """How hard to solve and whether to simulate, given to the command as ``options``.

    ``verify`` is the command's default.
    """
    options = stacked(
        verify_option(verify),
        solver_option,
        time_limit_option,
        side_limit_option,
        click.option(
            "--gap",
            type=FiniteRange(min=0, max=1, max_open=True),
            default=0.0,
            show_default=True,
            help="Relative gap at which the solver may stop.",
        ),
        seed_option,
        click.option(
            "--as-of",
            metavar="DATE",
            help="Day from which prices count as old.  [default: the newest price's]",
        ),
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(
            *args: object,
            verify: Verify,
            solver: Solver,
            time_limit: float,
            side_limit: float | None,
            gap: float,
            seed: int,
            as_of: str | None,
            **rest: object,
        ) -> object:
            stated = SolveOptions(
                verify, solver, time_limit, gap, seed, as_of=as_of, side_limit_s=side_limit
            )
            return command(*args, options=stated, **rest)

        return options(cast(Command, with_options))

    return decorate


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1, max=256),
    help="Processes that solve.  [default: the processor's cores]",
)


def _without_cache(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        cache_folder.turn_off()


catalog_options = stacked(  # where data comes from
    catalogs_option,
    click.option(
        "--calibration",
        type=click.Path(exists=True, dir_okay=False),
        help="Factors fitted by: planner calibrate.",
    ),
    click.option(
        "--no-cache",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_without_cache,
        help="Neither read nor write what earlier runs kept in the cache folder.",
    ),
)
