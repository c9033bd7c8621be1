"""Read a scenario file: YAML to a strict Scenario, every complaint with file and line."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError, nearest, raise_problems
from planner.package_data import shipped_folder
from planner.packed_files import not_text
from planner.scenario.changes import FieldChange, with_changes
from planner.scenario.examination import examined
from planner.scenario.notes import notes_on
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import Source, parse_source
from planner.standard_input import NAME, bytes_of, is_stdin

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

MAX_SCENARIO_BYTES = 1_000_000


def find_scenario(name: str | Path) -> Path:
    """Return the file ``name`` points to: a path, the bare name of a shipped scenario, or ``-``."""
    path = Path(name)
    if path.is_file() or is_stdin(name):
        return path
    shipped = shipped_scenarios()
    if str(name) in shipped:
        return shipped[str(name)]
    if path.is_dir():
        raise InputError(
            "this is a folder, not a scenario file",
            where=str(name),
            action="give one file, or run a folder with: planner batch FOLDER -o OUT",
        )
    raise InputError(
        "no such scenario file",
        where=str(name),
        allowed="a path, or a shipped name: " + ", ".join(shipped),
        action=nearest(str(name), shipped),
    )


def shipped_scenarios() -> dict[str, Path]:
    """Name and path of every scenario that travels with the package."""
    return {p.stem: p for p in sorted(shipped_folder("scenarios").glob("*.yaml"))}


def read_scenario(
    name: str | Path, catalog: Catalog | None = None, changes: Sequence[FieldChange] = ()
) -> Scenario:
    """Read and check one scenario: a file, a shipped name, or ``-`` for stdin.

    With ``catalog``, every model, GPU, engine, format, provider and region named in it must exist.
    ``changes`` are made before anything is checked. Raises InputError with every problem: file, line,
    field, what was found, what is allowed and the nearest name.
    """
    path = find_scenario(name)
    source = with_changes(read_source(path), changes)
    return checked(source, path.parent, default_name=name_of(path), catalog=catalog)


def name_of(path: Path) -> str:
    """What a scenario is called whose file does not say."""
    return "scenario" if is_stdin(path) else path.stem


def checked(
    source: Source, folder: Path | None, *, default_name: str, catalog: Catalog | None = None
) -> Scenario:
    """The scenario of a parsed file in ``folder``; InputError with every problem otherwise.

    Numbers that are read otherwise than they look are warned of, and noted in the scenario.
    """
    scenario, problems = examined(source, folder, default_name, catalog)
    raise_problems(problems)
    assert scenario is not None
    notes = notes_on(source)
    for note in notes:
        warnings.warn(note.text, note.kind, stacklevel=2)
    return scenario.noting(tuple(n.text for n in notes)) if notes else scenario


def validate(source: Source, default_name: str = "scenario") -> Scenario:
    """The scenario of parsed data alone: no files are looked up, and no names."""
    return checked(source, None, default_name=default_name)


def read_source(path: Path) -> Source:
    """Parse the YAML text of ``path`` (``-``: stdin) into plain data with line numbers."""
    where = NAME if is_stdin(path) else str(path)
    try:
        data, size = bytes_of(path, MAX_SCENARIO_BYTES)
    except OSError as error:
        raise InputError(f"cannot read the scenario: {error.strerror}", where=where) from None
    if size > MAX_SCENARIO_BYTES:
        raise InputError(
            "the scenario file is too large",
            where=where,
            found=f"{size:,} bytes",
            allowed=f"at most {MAX_SCENARIO_BYTES:,} bytes",
        )
    return parse_source(decoded(data, where), where)


def decoded(data: bytes, where: str) -> str:
    """The file's text; InputError names the line whose bytes are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise not_text("the scenario", data, where, InputError) from None
