"""Measurements on the command line: tables of points and result files of load generators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.cli.shared.numbers import POSITIVE
from planner.cli.shared.output_options import stacked

if TYPE_CHECKING:
    from planner.accuracy.bench.files import Setting
    from planner.accuracy.points import PointTable

setting_options = stacked(  # what result files leave out
    click.option(
        "--gpu",
        default="",
        help="GPU behind result files and tables without its column (catalog name).",
    ),
    click.option("--engine", default="", help="Engine behind result files."),
    click.option("--engine-version", default="", help="Its version."),
    click.option("--weights", default="", help="Weight format behind result files."),
    click.option("--model", default="", help="Model, when result files do not name it."),
    click.option("--kv-cache", default="", help="KV cache format behind result files."),
    click.option("--tensor-parallel", type=POSITIVE, default=1, show_default=True),
    click.option("--data-parallel", type=POSITIVE, default=1, show_default=True),
    click.option("--expert-parallel", type=POSITIVE, default=1, show_default=True),
    click.option("--eager", is_flag=True, help="The engine ran without captured graphs."),
)


def setting_of(given: dict[str, Any]) -> Setting:
    """The setting behind result files, from the options of ``setting_options``."""
    from planner.accuracy.bench.files import Setting

    return Setting(**given)


def read_measured(path: Path, setting: Setting) -> PointTable:
    """Read a table of points, or a result file, whose deployment ``setting`` completes.

    A column that the table has comes before an option.
    """
    from planner.accuracy.bench.files import is_result_file, read_bench_file
    from planner.accuracy.bench.unread import named_text
    from planner.accuracy.points import read_points, table_of

    if is_result_file(path):
        return table_of([result.point(setting, str(path)) for result in read_bench_file(path)])
    if path.is_file():
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            start = file.read(400)
        if (complaint := named_text(start, str(path))) is not None:
            raise complaint
    return read_points(path, filling=_cells(setting))


def _cells(setting: Setting) -> dict[str, str]:
    """What the options say, for a table that lacks the column; nothing where none names a deployment."""
    stated = ("model", "gpu", "engine", "engine_version", "weights", "kv_cache")
    found = {name: value for name in stated if (value := getattr(setting, name))}
    if not found:
        return {}
    degrees = ("tensor_parallel", "data_parallel", "expert_parallel")
    found |= {name: str(getattr(setting, name)) for name in degrees}
    return found | ({"eager": "true"} if setting.eager else {})
