"""What is said on stderr beside the result: files written, warnings; nothing of it with --quiet."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar

import click

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return _QUIET.get()


def shows_progress() -> bool:
    """Whether progress may be shown: stderr is a terminal, and --quiet was not given."""
    return sys.stderr.isatty() and not is_quiet()


def note(text: str) -> None:
    """Say ``text`` on stderr."""
    if not is_quiet():
        click.echo(text, err=True)


@contextlib.contextmanager
def loud() -> Iterator[None]:
    """Until --quiet is given: what one call of the command line sets does not reach the next."""
    token = _QUIET.set(False)
    try:
        yield
    finally:
        _QUIET.reset(token)


def _be_quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        _QUIET.set(True)


def quiet_option() -> click.Option:
    """``-q/--quiet``, which every command has."""
    return click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_be_quiet,
        help="Print the result and errors alone: no progress, no warnings.",
    )


def with_quiet(command: click.Command) -> click.Command:
    """The command, and those below it, with ``-q/--quiet``."""
    if not any("--quiet" in option.opts for option in command.params):
        command.params.append(quiet_option())
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_quiet(inner)
    return command
