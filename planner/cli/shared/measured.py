"""Measurements on the command line: tables of points and result files of load generators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from planner.accuracy.bench.files import Setting
    from planner.accuracy.points import PointTable

_Command = TypeVar("_Command", bound=Callable[..., Any])

SETTING_OPTIONS = (
    click.option("--gpu", default="", help="GPU behind result files (catalog name)."),
    click.option("--engine", default="", help="Engine behind result files."),
    click.option("--engine-version", default="", help="Its version."),
    click.option("--weights", default="", help="Weight format behind result files."),
    click.option("--model", default="", help="Model, when result files do not name it."),
    click.option("--kv-cache", default="", help="KV cache format behind result files."),
    click.option("--tensor-parallel", type=click.IntRange(1), default=1, show_default=True),
    click.option("--data-parallel", type=click.IntRange(1), default=1, show_default=True),
    click.option("--expert-parallel", type=click.IntRange(1), default=1, show_default=True),
    click.option("--eager", is_flag=True, help="The engine ran without captured graphs."),
)


def setting_options(command: _Command) -> _Command:
    """Add the options that say what result files leave out."""
    for option in reversed(SETTING_OPTIONS):
        command = option(command)
    return command


def setting_of(given: dict[str, Any]) -> Setting:
    """The setting behind result files, from the options of ``setting_options``."""
    from planner.accuracy.bench.files import Setting

    return Setting(**given)


def read_measured(path: Path, setting: Setting) -> PointTable:
    """Read a table of points, or a result file, whose deployment ``setting`` completes."""
    from planner.accuracy.bench.files import is_result_file, read_bench_file
    from planner.accuracy.points import read_points, table_of

    if is_result_file(path):
        return table_of([result.point(setting, str(path)) for result in read_bench_file(path)])
    return read_points(path)
