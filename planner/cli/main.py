"""The ``planner`` command: finds the requested command's file and imports only that.

Every failure a user can cause ends in one message on stderr and the exit code of its error class.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn, TextIO

import click

from planner import cache_folder
from planner.cli.shared.notes import loud, note, quiet_option, with_quiet
from planner.collection import COLLECT_AFTER
from planner.errors import PlannerError, ScenarioErrors, ScenarioWarning, nearest
from planner.other_package import packages_mixed
from planner.reporting.files import announcing

LONG_RUNNING = ("serve", "mcp")
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
COMMANDS = {
    "init": "write a first scenario, commented",
    "solve": "find the cheapest fleet that meets the targets",
    "explain": "derive the plan step by step, compared with textbook sizing",
    "memory": "weights, KV cache and memory: what fits",
    "simulate": "simulate a plan under load and print its percentiles",
    "compare": "solve under several restrictions, side by side",
    "sweep": "cost over a range of rates, lengths, targets or prices",
    "diff": "what changed between two plans or scenarios, and why",
    "frontier": "cost against latency and resilience",
    "report": "write a report: html, md, csv, xlsx or json",
    "verify": "recompute a plan and prove its cost again",
    "accept": "check a load test of one replica against the plan",
    "deploy": "write launch commands and manifests for a plan",
    "import": "make a scenario from the metrics and manifests of a fleet",
    "autoscale": "replay a plan's fleet under KEDA, HPA or llm-d",
    "batch": "solve many scenario files",
    "trace": "describe a request trace",
    "serve": "open the planner in a browser",
    "mcp": "offer the planner as tools over MCP",
    "catalog": "list models, GPUs, offers and engines",
    "validate": "list every problem of a scenario file",
    "schema": "print the JSON Schema of a scenario file",
    "accuracy": "predict measured points and print the error",
    "calibrate": "fit the latency model to your own measurements",
    "completion": "print a shell completion script",
}
FILES = {"import": "running.importing", "autoscale": "running.autoscale"}  # where not its own name


class LazyGroup(click.Group):
    """A click group that imports ``planner.cli.<name>`` only when ``<name>`` is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None when there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"planner.cli.{FILES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)
        command.short_help = COMMANDS[cmd_name]
        return with_quiet(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when the requested one does not exist."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            hint = nearest(args[0], COMMANDS)
            ctx.fail(
                f"no such command {args[0]!r}" + (f"; {hint}" if hint else "; see planner --help")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from planner.version import package_version

        click.echo(f"planner {package_version()}")
        both = packages_mixed()
        if both is not None:
            click.echo(f"warning: {both}", err=True)
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Plan LLM-serving capacity: the cheapest GPU fleet that holds its latency targets.

    \b
    Examples:
      planner solve llama70b_qps50
      planner explain llama70b_qps50
      planner memory fits --model Qwen/Qwen3-8B
    """


cli.params.append(quiet_option())


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code instead of raising."""
    try:
        with (
            warnings.catch_warnings(),
            loud(),
            cache_folder.unchanged(),
            announcing(lambda path: note(f"wrote {path}")),
        ):
            warnings.simplefilter("always", ScenarioWarning)
            warnings.showwarning = _warn
            code = cli.main(args=args, prog_name="planner", standalone_mode=False)
    except ScenarioErrors as error:
        for problem in error.shown:
            click.echo(f"error: {problem}", err=True)
        return error.exit_code
    except PlannerError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except SystemExit:  # click's answer to a reader that closed the pipe
        return 0
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            return _bug(error)
        click.echo(f"error: cannot write the result: {error.strerror}", err=True)
        return 2
    except Exception as error:
        return _bug(error)
    return code if isinstance(code, int) else 0


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning about a scenario file in its own words; any other as Python writes it."""
    if issubclass(category, ScenarioWarning):
        note(f"warning: {message}")
    else:
        note(warnings.formatwarning(message, category, filename, lineno, line).rstrip())


def _bug(error: Exception) -> int:
    """Report a failure that no user caused; raise it again under PLANNER_DEBUG."""
    if os.environ.get("PLANNER_DEBUG"):
        raise error
    click.echo(
        f"internal error: {type(error).__name__}: {error}\n"
        "  next:    this is a bug; run again with PLANNER_DEBUG=1 and report what it prints",
        err=True,
    )
    return 70


def run() -> None:
    """The console script's entry point; a request to stop is like Ctrl-C, so that workers end too."""
    signal.signal(signal.SIGTERM, _interrupt)
    # it would read every package's entry points
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # matrices are small: a second thread would only wait for work, and burn processor time doing so
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not set(LONG_RUNNING) & set(sys.argv[1:2]):
        gc.set_threshold(COLLECT_AFTER)  # a run is short, and little of what it makes is circular
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # characters it cannot write become "?"
            stream.reconfigure(errors="replace")
    _leave(main())


def _leave(code: int) -> NoReturn:
    """End the process at once: freeing what a solve leaves, value by value, takes 20 ms.

    As usual where there may be workers or threads to wait for, and where the output does not reach its end.
    """
    if "multiprocessing" not in sys.modules and threading.active_count() == 1:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    gc.freeze()  # what is left ends with the process, and need not be searched for circles
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    run()
