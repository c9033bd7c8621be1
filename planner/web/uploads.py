"""Files of one request: written to a folder of their own, the only place a scenario may name files in.

A scenario on a server must not read the server's files. Price files, traces, rate series and model
configs come from the uploads of the same request; models may also be names of the catalog.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.scenario.examination import with_files_beside
from planner.scenario.reader import shipped_scenarios
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import Loc, Source
from planner.web.limits import ServerLimits
from planner.workload.trace import shipped_traces

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
SCENARIO = "scenario.yaml"


@contextmanager
def uploaded(files: Mapping[str, str], limits: ServerLimits) -> Iterator[Path]:
    """A folder with ``files`` (text by plain file name), removed afterwards.

    Raises InputError for too many files, one too large, or a name that is more than a name.
    """
    if len(files) > limits.files:
        raise InputError(
            "too many files", where="files", found=len(files), allowed=f"at most {limits.files}"
        )
    folder = Path(tempfile.mkdtemp(prefix="planner-web-"))
    try:
        for name, text in files.items():
            (folder / _plain(name)).write_bytes(_bounded(name, text, limits))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain(name: str) -> str:
    if not NAME.fullmatch(name) or name.endswith(".") or name == SCENARIO:
        raise InputError(
            "not a plain file name",
            where="files",
            found=name,
            allowed=f"letters, digits, '.', '_' and '-', other than {SCENARIO}",
        )
    return name


def _bounded(name: str, text: str, limits: ServerLimits) -> bytes:
    data = text.encode("utf-8", errors="replace")
    if len(data) > limits.file_bytes:
        raise InputError(
            "the file is too large", where=name, allowed=f"{limits.file_bytes:,} bytes"
        )
    return data


def with_uploads(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with each file that it names, its price file too, found in the request's folder."""
    placed = with_files_beside(scenario, folder)
    if placed.prices.file is None:
        return placed
    prices = placed.prices.model_copy(update={"file": str(folder / placed.prices.file)})
    return placed.model_copy(update={"prices": prices})


def without(folder: Path, value: object) -> object:
    """``value`` (JSON) with the folder's own path taken out of every text: answers do not name it."""
    if isinstance(value, str):
        return value.replace(f"{folder}/", "")
    if isinstance(value, dict):
        return {key: without(folder, v) for key, v in value.items()}
    if isinstance(value, list):
        return [without(folder, v) for v in value]
    return value


def refuse_server_files(
    scenario: Scenario, source: Source, files: Mapping[str, str], catalog: Catalog
) -> Iterator[InputError]:
    """Every field of the scenario that names a file which was not uploaded with it."""
    shipped = shipped_traces()
    for loc, name in _named_files(scenario, source):
        if name not in files and not (name in shipped and loc[0] != "prices"):
            yield _refused(source, loc, name, files)
    for index, service in enumerate(scenario.services):
        if isinstance(service.model, str) and not known_model(service.model, files, catalog):
            yield _refused(source, (*source.service_path(index), "model"), service.model, files)
    for name in scenario.compare_with:
        if name not in shipped_scenarios():
            yield _refused(source, ("compare_with",), name, files)


def _named_files(scenario: Scenario, source: Source) -> Iterator[tuple[Loc, str]]:
    if scenario.prices.file is not None:
        yield ("prices", "file"), scenario.prices.file
    for index, service in enumerate(scenario.services):
        at = source.service_path(index)
        if service.prompt_tokens.trace is not None:
            yield (*at, "prompt_tokens", "trace"), service.prompt_tokens.trace
        if service.output_tokens.trace is not None:
            yield (*at, "output_tokens", "trace"), service.output_tokens.trace
        if service.load is not None and service.load.series is not None:
            yield (*at, "load", "series"), service.load.series


def known_model(name: str, files: Mapping[str, str], catalog: Catalog) -> bool:
    """Whether a model's name is an upload, the catalog's, or at least no file of the server."""
    if name in files or any(name.lower() in map(str.lower, e.names) for e in catalog.model_index()):
        return True
    is_path = name.endswith(".json") or name.startswith(("/", ".", "~", "\\"))
    return not (is_path or "\0" in name or Path(name).exists())


def _refused(source: Source, loc: Loc, name: str, files: Mapping[str, str]) -> InputError:
    return InputError(
        "only files uploaded with the scenario can be named here",
        where=source.where(*loc),
        found=name,
        allowed=", ".join(files) or "no file was uploaded",
        action="add the file to the page or the request, and give its plain name",
    )
