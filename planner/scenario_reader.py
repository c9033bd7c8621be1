"""Read a scenario file: YAML to a strict Scenario, every complaint with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from planner.errors import InputError, nearest
from planner.package_data import shipped_folder
from planner.scenario import Lengths, Scenario, Service
from planner.scenario_complaints import complaint
from planner.scenario_names import check_names
from planner.scenario_source import Source, parse_source

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

MAX_SCENARIO_BYTES = 1_000_000


def find_scenario(name: str | Path) -> Path:
    """Return the file ``name`` points to: a path, or the bare name of a shipped scenario."""
    path = Path(name)
    if path.is_file():
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


def read_scenario(name: str | Path, catalog: Catalog | None = None) -> Scenario:
    """Read and check one scenario file.

    With ``catalog``, every model, GPU, engine, format, provider and region named in it must exist.
    Raises InputError naming file, line, field, what was found, what is allowed and the nearest name.
    """
    path = find_scenario(name)
    source = read_source(path)
    scenario = with_files_beside(validate(source, default_name=path.stem), path.parent)
    if catalog is not None:
        check_names(scenario, catalog, source)
    return scenario


def with_files_beside(scenario: Scenario, folder: Path) -> Scenario:
    """Traces and model configs that lie beside the scenario's file are found from any folder."""

    def found(lengths: Lengths) -> Lengths:
        beside = folder / lengths.trace if lengths.trace else None
        if beside is None or not beside.is_file():
            return lengths
        return lengths.model_copy(update={"trace": str(beside)})

    def resolved(service: Service) -> Service:
        own = {k: found(getattr(service, k)) for k in ("prompt_tokens", "output_tokens")}
        beside = folder / service.model if isinstance(service.model, str) else folder
        is_config = beside.suffix == ".json" and beside.is_file()
        if beside != folder and (is_config or (beside / "config.json").is_file()):
            return service.model_copy(update={**own, "model": str(beside)})
        return service.model_copy(update=own)

    services = tuple(resolved(s) for s in scenario.services)
    return scenario.model_copy(update={"services": services})


def validate(source: Source, default_name: str = "scenario") -> Scenario:
    """Turn parsed data into a strict Scenario; InputError with file and line otherwise."""
    try:
        return Scenario.model_validate({"name": default_name, **source.data})
    except ValidationError as error:
        raise complaint(error, source) from None


def read_source(path: Path) -> Source:
    """Parse the YAML text of ``path`` into plain data with line numbers."""
    try:
        size = path.stat().st_size
        if size > MAX_SCENARIO_BYTES:
            raise InputError(
                "the scenario file is too large",
                where=str(path),
                found=f"{size:,} bytes",
                allowed=f"at most {MAX_SCENARIO_BYTES:,} bytes",
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the scenario: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("the scenario is not UTF-8 text", where=str(path)) from None
    return parse_source(text, str(path))
