"""Options and output shared by the commands that solve."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import click

from planner import cache_folder
from planner.cli.shared.notes import shows_progress
from planner.cli.shared.numbers import FiniteRange
from planner.errors import OutputError
from planner.fleet.program.problem import Solver
from planner.plan.schema import Plan
from planner.solving.options import SolveOptions, Verify

Command = TypeVar("Command", bound=Callable[..., Any])
BRIEF_WIDTH = 100  # columns of a file
SECONDS_SHOWN, FINE_SECONDS = 100, 15
FORMATS = ("table", "json", "md", "html", "csv", "xlsx")


def solve_options(verify: str) -> Callable[[Command], Command]:
    """How hard to solve and whether to simulate, given to the command as ``options``.

    ``verify`` is the command's default.
    """
    options = (
        click.option(
            "--verify",
            type=click.Choice(["none", "simulate"]),
            default=verify,
            show_default=True,
            help="Check the chosen plan in the simulator, and solve again where it fails.",
        ),
        click.option(
            "--solver",
            type=click.Choice(["highs", "cbc"]),
            default="highs",
            show_default=True,
            help="Integer-programming solver.",
        ),
        click.option(
            "--time-limit",
            type=FiniteRange(min=0, min_open=True),
            default=60.0,
            show_default=True,
            help="Seconds the solver may take.",
        ),
        click.option(
            "--gap",
            type=FiniteRange(min=0, max=1, max_open=True),
            default=0.0,
            show_default=True,
            help="Relative gap at which the solver may stop.",
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed."
        ),
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
            gap: float,
            seed: int,
            as_of: str | None,
            **rest: object,
        ) -> object:
            stated = SolveOptions(verify, solver, time_limit, gap, seed, as_of=as_of)
            return command(*args, options=stated, **rest)

        return _stack(options)(cast(Command, with_options))

    return decorate


def jobs_option(command: Command) -> Command:
    """How many processes solve."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=1, max=256),
        help="Processes that solve.  [default: the processor's cores]",
    )(command)


def catalog_options(command: Command) -> Command:
    """Where data comes from."""
    return _stack(
        (
            click.option(
                "--catalogs",
                type=click.Path(exists=True, file_okay=False),
                help="Use this folder instead of the shipped catalogs.",
            ),
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
    )(command)


def _without_cache(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        cache_folder.turn_off()


def _stack(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done on stderr; silent when stderr is not a terminal."""
    if not shows_progress():
        yield lambda _message: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading catalogs") as status:
        yield status.update


def counting(report: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """Progress over many solves, and how long the rest will take: ``3/20 rate 30, about 40 s left``."""
    started = time.monotonic()

    def step(done: int, total: int, label: str) -> None:
        spent = time.monotonic() - started
        left = f", about {rest_text(spent / done * (total - done))} left" if done else ""
        report(f"{done + 1}/{total} {label}{left}")

    return step


def rest_text(seconds: float) -> str:
    """A stretch of time [s] in one rounded figure: ``7 s``, ``40 s``, ``3 min``."""
    if seconds >= SECONDS_SHOWN:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds < FINE_SECONDS else f"{round(seconds, -1):.0f} s"


def deliver_brief(plan: Plan, style: str, output: str | None) -> None:
    """Print the decision alone, or write it to ``output``; OutputError in another style."""
    if style != "table":
        raise OutputError(
            "--brief is text", found=f"--format {style}", action="leave out one of them"
        )
    from planner.reporting.plan.brief import brief

    if output is None:
        from rich.console import Console

        from planner.reporting.plan.terminal import print_brief

        print_brief(plan, Console())
        return
    from planner.reporting.files import write_file

    write_file(output, "\n".join(brief(plan, BRIEF_WIDTH)) + "\n")


def deliver(plan: Plan, style: str, output: str | None, table: str = "order") -> None:
    """Print the plan, or write it to ``output``, in the requested style; ``table``: what CSV carries."""
    if style == "table" and output is None:
        from planner.reporting.formats.rich_document import console
        from planner.reporting.plan.terminal import print_plan

        print_plan(plan, console())
        return
    if style == "json":
        from planner.reporting.files import send

        send(plan.to_json(), output)
        return
    from planner.reporting.deliver import write_plan

    write_plan(plan, style, output, table=table)
