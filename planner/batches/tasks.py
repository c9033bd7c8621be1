"""What a batch solves: scenario files, or one file over a grid of values."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from planner.errors import InputError
from planner.scenario.path_fields import from_working_directory
from planner.scenario.reader import MAX_SCENARIO_BYTES, decoded, find_scenario

MAX_TASKS = 1_000_000
SUFFIXES = (".yaml", ".yml")
LeftOut = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Task:
    """One scenario to answer.

    ``id``: unique in the batch, the file's path below the folder, with its grid point; ``text``: the
    file's text, None when it could not be read (``problem`` says why); ``changes``: values of the
    grid by dotted field; ``key``: digest of everything the answer depends on.
    """

    id: str
    file: str
    text: str | None
    key: str
    changes: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


def collect(
    source: str | Path,
    pattern: str | None,
    grid: Sequence[str],
    fingerprint: str,
    left_out: LeftOut = lambda _path, _why: None,
) -> tuple[Task, ...]:
    """List the tasks of a folder (files that match ``pattern``), or of one file over ``grid``.

    ``pattern``: None = every .yaml and .yml file, however deep. ``left_out`` is called with each path that is
    no task, and why: a link that leads nowhere, a folder of that name, and without a pattern any
    file with another ending.

    ``grid``: texts such as ``rate=10,20`` over dotted fields (``slo.ttft_p99=1s,2s``; a file from the
    working directory);
    ``fingerprint``: digest of catalogs, calibration, version and options. Raises InputError when
    nothing matches.
    """
    path = Path(source)
    if path.is_dir():
        if grid:
            raise InputError(
                "--grid and --set change one scenario file, not a folder", where=str(path)
            )
        files = list(_scenario_files(path, pattern, left_out))
        if not files:
            raise InputError(
                "no scenario file matches",
                where=str(path),
                found=pattern or "**/*.yaml, **/*.yml",
                action="name a folder with .yaml or .yml files, or give another pattern",
            )
        return tuple(_task(p, p.relative_to(path).as_posix(), {}, fingerprint) for p in files)
    file = find_scenario(path)
    points = [
        {name: from_working_directory(name, value, str(file)) for name, value in point.items()}
        for point in points_of(grid)
    ]
    return tuple(_task(file, _point_id(file.name, p), p, fingerprint) for p in points)


def _scenario_files(folder: Path, pattern: str | None, left_out: LeftOut) -> Iterator[Path]:
    """The files to solve, in order of their paths; ``left_out`` is called with the others."""
    for path in sorted(folder.glob(pattern or "**/*")):
        name = path.relative_to(folder).as_posix()
        requested = pattern is not None or path.suffix in SUFFIXES
        if path.is_file():
            if requested:
                yield path
            else:
                left_out(name, f"not a {' or '.join(SUFFIXES)} file")
        elif path.is_symlink() and not path.exists():
            left_out(name, "a link to nothing")
        elif path.is_dir() and (requested or path.is_symlink()):
            left_out(name, "a link to a folder" if path.is_symlink() else "a folder")
        elif requested:
            left_out(name, "not a regular file")


def points_of(grid: Iterable[str]) -> Iterator[dict[str, object]]:
    """Every combination of the grid's values; one empty point without a grid.

    Values are read as YAML, so ``[1, 2]`` is a list and ``2s`` a text. Raises InputError for an axis
    without values, given twice, or more than ``MAX_TASKS`` points.
    """
    axes: dict[str, list[object]] = {}
    for text in grid:
        name, equals, listed = text.partition("=")
        name = name.strip()
        try:
            values = yaml.safe_load(f"[{listed}]") if equals else []
        except yaml.YAMLError:
            values = []
        if not name or not values:
            raise InputError("not a grid axis", where="--grid", found=text, allowed="FIELD=A,B,...")
        if name in axes:
            raise InputError("the same axis twice", where="--grid", found=name)
        axes[name] = values
    size = 1
    for values in axes.values():
        size *= len(values)
    if size > MAX_TASKS:
        raise InputError("the grid is too large", found=f"{size:,}", allowed=f"{MAX_TASKS:,}")
    for combination in itertools.product(*axes.values()):
        yield dict(zip(axes, combination, strict=True))


def _task(path: Path, name: str, changes: dict[str, object], fingerprint: str) -> Task:
    text, problem = None, None
    try:
        if path.stat().st_size > MAX_SCENARIO_BYTES:
            problem = f"{path}: the scenario file is too large"
        else:
            text = decoded(path.read_bytes(), str(path))
    except OSError as error:
        problem = f"{path}: cannot read the scenario: {error.strerror}"
    except InputError as error:
        problem = str(error)
    stated = json.dumps([fingerprint, name, text, problem, changes], sort_keys=True, default=str)
    key = hashlib.sha256(stated.encode()).hexdigest()
    return Task(name, str(path), text, key, changes, problem)


def _point_id(name: str, point: Mapping[str, object]) -> str:
    inner = ",".join(f"{k}={v}" for k, v in point.items())
    return f"{name}[{inner}]" if inner else name
