"""Arguments that name something: what they take, and what a shell completes them to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from planner.cli.shared.paths import kept_stdin
from planner.errors import CatalogError, InputError
from planner.scenario.changes import FieldChange, read_change
from planner.standard_input import NAME, is_stdin, stdin_bytes

Command = TypeVar("Command", bound=Callable[..., Any])


class Named(StringParamType):
    """A name that a shell completes from ``names``, and from files where ``files`` says so."""

    def __init__(self, names: Callable[[], Iterable[str]], *, files: bool = False) -> None:
        self._names = names
        self._files = files

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Every known name that begins with ``incomplete``, in any case."""
        begun = incomplete.lower()
        try:
            found = [n for n in self._names() if n.lower().startswith(begun)]
        except CatalogError:
            found = []
        items = [CompletionItem(name) for name in found]
        return [*items, CompletionItem(incomplete, type="file")] if self._files else items


class PipedModel(Named):
    """A model's name or config; ``-`` is a config.json that is piped in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name or path as it is, or the path of the kept config."""
        if not is_stdin(str(value)) or ctx is None or ctx.resilient_parsing:
            return super().convert(value, param, ctx)
        try:
            json.loads(stdin_bytes())
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"not valid JSON: {error}", where=NAME, allowed="a model's config.json"
            ) from None
        return kept_stdin(ctx, ".json")


def _scenarios() -> Iterable[str]:
    from planner.scenario.reader import shipped_scenarios

    return shipped_scenarios()


def _models() -> Iterable[str]:
    from planner.catalog.store import load_catalog

    return [entry.name for entry in load_catalog().model_index()]


def _gpus() -> Iterable[str]:
    from planner.catalog.store import load_catalog

    return [gpu.name for gpu in load_catalog().gpus()]


def _fields() -> Iterable[str]:
    from planner.scenario.field_names import dotted_fields

    return [f"{field}=" for field in dotted_fields()]


SCENARIO = Named(_scenarios, files=True)
MODEL = Named(_models, files=True)
PIPED_MODEL = PipedModel(_models, files=True)
GPU = Named(_gpus)


def _changes(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[FieldChange, ...]:
    return tuple(read_change(value) for value in values)


def set_option(command: Command) -> Command:
    """``--set FIELD=VALUE``, given to the command as ``changes``."""
    return click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="FIELD=VALUE",
        type=Named(_fields),
        callback=_changes,
        help="Change a field of the scenario: rate=80, slo.ttft_p99=1s, services.chat.rate=5, "
        "prices.file=quotes.csv (from the working directory). May be repeated.",
    )(command)
