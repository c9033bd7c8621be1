"""Read a scenario file: YAML to a strict Scenario, every complaint with file and line.

Only plain YAML data is read: no tags, no objects, no duplicate keys; size and node count are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, nearest
from planner.scenario import (
    Arrivals,
    Assumptions,
    Feeding,
    Lengths,
    Limits,
    Prices,
    Scenario,
    Search,
    Service,
    Settings,
)

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

MAX_SCENARIO_BYTES = 1_000_000
MAX_NODES = 100_000

Path_ = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML with 1e9 read as a number and duplicate keys refused."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


@dataclass(frozen=True)
class Source:
    """A scenario file's data, and the line of every field in it."""

    path: str
    data: dict[str, Any]
    lines: Mapping[Path_, int]

    def where(self, *loc: str | int) -> str:
        """``file:line, field`` of the deepest known part of ``loc``."""
        known: Path_ = loc
        while known and known not in self.lines:
            known = known[:-1]
        field = ".".join(str(part) for part in loc)
        line = self.lines.get(known, 1)
        return f"{self.path}:{line}" + (f", {field}" if field else "")

    def service_path(self, index: int) -> Path_:
        """Where service ``index`` stands: flat files hold one service at the top."""
        return ("services", index) if "services" in self.data else ()


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
    import planner

    package = Path(planner.__file__).parent
    for folder in (package / "_data" / "scenarios", package.parent / "scenarios"):
        if folder.is_dir():
            return {p.stem: p for p in sorted(folder.glob("*.yaml"))}
    return {}


def read_scenario(name: str | Path, catalog: Catalog | None = None) -> Scenario:
    """Read and check one scenario file.

    With ``catalog``, every model, GPU, engine, format, provider and region named in it must exist.
    Raises InputError naming file, line, field, what was found, what is allowed and the nearest name.
    """
    path = find_scenario(name)
    source = read_source(path)
    scenario = _with_traces_beside(validate(source, default_name=path.stem), path.parent)
    if catalog is not None:
        check_names(scenario, catalog, source)
    return scenario


def _with_traces_beside(scenario: Scenario, folder: Path) -> Scenario:
    """Traces that lie beside the scenario's file are found from any working directory."""

    def found(lengths: Lengths) -> Lengths:
        beside = folder / lengths.trace if lengths.trace else None
        if beside is None or not beside.is_file():
            return lengths
        return lengths.model_copy(update={"trace": str(beside)})

    def resolved(service: Service) -> Service:
        keys = ("prompt_tokens", "output_tokens")
        return service.model_copy(update={k: found(getattr(service, k)) for k in keys})

    services = tuple(resolved(s) for s in scenario.services)
    return scenario.model_copy(update={"services": services})


def validate(source: Source, default_name: str = "scenario") -> Scenario:
    """Turn parsed data into a strict Scenario; InputError with file and line otherwise."""
    try:
        return Scenario.model_validate({"name": default_name, **source.data})
    except ValidationError as error:
        raise _explain(error, source) from None


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


def parse_source(text: str, where: str) -> Source:
    """Parse scenario text; ``where`` names it in messages."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Path_, int] = {}
            if node is not None:
                _walk(node, (), lines, where, [0])
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(
            f"not valid YAML: {error.problem or error.context}",
            where=f"{where}:{mark.line + 1}" if mark else where,
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"not valid YAML: {error}", where=where) from None
    if not isinstance(data, dict):
        raise InputError(
            "a scenario is a mapping of fields",
            where=where,
            found=type(data).__name__ if data is not None else "an empty file",
            allowed="model, rate, prompt_tokens, output_tokens, slo, ...",
        )
    return Source(where, data, lines)


def _walk(
    node: yaml.Node, at: Path_, lines: dict[Path_, int], where: str, count: list[int]
) -> None:
    """Record the line of every field below ``node``; refuse duplicate keys and alias bombs."""
    count[0] += 1
    if count[0] > MAX_NODES or len(at) > 40:
        raise InputError("the scenario is too large or too deeply nested", where=where)
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise InputError(
                    f"the field {name!r} is given twice", where=f"{where}:{key.start_mark.line + 1}"
                )
            seen.add(name)
            lines[(*at, name)] = key.start_mark.line + 1
            _walk(value, (*at, name), lines, where, count)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*at, index), lines, where, count)


_DOCUMENTS: dict[str, type] = {
    "search": Search,
    "prices": Prices,
    "limits": Limits,
    "assumptions": Assumptions,
    "arrivals": Arrivals,
    "feeding": Feeding,
    "settings": Settings,
    "prompt_tokens": Lengths,
    "output_tokens": Lengths,
}


def _explain(error: ValidationError, source: Source) -> InputError:
    """The first complaint in the scenario's own words."""
    details = error.errors(include_url=False)
    details = [d for d in details if d["type"] != "too_short"] or details
    unknown = [d for d in details if d["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    loc = _own_path(detail, source)
    message, allowed, action = _wording(detail, loc)
    if len(details) > 1 and len({d["loc"][:3] for d in details}) > 1:
        action = "; ".join(filter(None, [action, f"{len(details) - 1} more problems follow"]))
    found = None if detail["type"] == "missing" else detail.get("input")
    if isinstance(found, tuple):
        found = list(found)
    if isinstance(found, str):
        found = repr(found)
    return InputError(
        message, where=source.where(*loc), found=found, allowed=allowed, action=action
    )


def _own_path(detail: ErrorDetails, source: Source) -> Path_:
    """Translate pydantic's location into the file's own path."""
    loc = list(detail["loc"])
    if "services" not in source.data and loc[:2] == ["services", 0]:
        loc = loc[2:]
    own: list[str | int] = []
    data: Any = source.data
    for part in loc:
        if isinstance(data, dict) and part in data:
            own.append(part)
            data = data[part]
        elif isinstance(data, dict) and detail["type"] == "missing" and part == loc[-1]:
            own.append(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            own.append(part)
            data = data[part]
    return tuple(own)


def _wording(detail: ErrorDetails, loc: Path_) -> tuple[str, str | None, str | None]:
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        parent = str(loc[-2]) if len(loc) > 1 else ""
        fields = _fields_of(parent)
        return (
            f"unknown field {str(loc[-1] if loc else detail['loc'][-1])!r}",
            ", ".join(fields),
            nearest(str(loc[-1] if loc else detail["loc"][-1]), fields),
        )
    if kind == "missing":
        return f"the field {str(detail['loc'][-1])!r} is required", None, None
    if kind in ("finite_number", "float_type", "int_type", "int_from_float"):
        return f"{loc[-1] if loc else 'this'} must be a number", "a plain finite number", None
    if kind == "literal_error" and "all" in message:
        return "give all, or a list of names", None, None
    message = message.replace("input should be", "must be").replace("tuple", "list")
    message = message.replace("Input should be", "must be").replace("Tuple", "the list")
    return message[0].lower() + message[1:], None, None


def _fields_of(parent: str) -> list[str]:
    document = _DOCUMENTS.get(parent)
    if document is not None:
        return list(document.model_fields)  # type: ignore[attr-defined]
    if parent == "slo":
        return ["ttft_p99", "tpot_p99", "ttft_p50", "tpot_p50", "itl_p99", "e2e_p99", "goodput"]
    return [*Service.model_fields, *(f for f in Scenario.model_fields if f != "name")]


def check_names(scenario: Scenario, catalog: Catalog, source: Source | None = None) -> None:
    """Check every catalog name in the scenario; raise InputError at the first unknown one."""
    source = source or Source(scenario.name, {"services": True}, {})
    for index, service in enumerate(scenario.services):
        at = source.service_path(index)
        search = service.search
        if isinstance(service.model, str):
            _at(source, (*at, "model"), catalog.model, service.model)
        for field, names, look_up in (
            ("gpus", () if search.gpus == "all" else search.gpus, catalog.gpu),
            ("engines", search.engines, catalog.engine),
            ("kv_cache", search.kv_cache, catalog.kv_format),
        ):
            for name in names:
                _at(source, (*at, "search", field), look_up, name)
    for gpu in scenario.limits.stock:
        _at(source, ("limits", "stock", gpu), catalog.gpu, gpu)
    _check_prices(scenario.prices, catalog, source)


def _check_prices(prices: Prices, catalog: Catalog, source: Source) -> None:
    from planner.catalog.offer import Term

    _one_of(source, "terms", prices.terms, [t.value for t in Term])
    if prices.file is not None:
        return
    offers = catalog.offers()
    if prices.providers != "all":
        _one_of(source, "providers", prices.providers, sorted({o.provider for o in offers}))
    if prices.regions != "all":
        _one_of(source, "regions", prices.regions, sorted({o.region for o in offers}))


def _one_of(source: Source, field: str, names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise InputError(
                f"unknown {field.removesuffix('s')} {name!r}",
                where=source.where("prices", field),
                found=name,
                allowed=shown,
                action=nearest(name, known),
            )


def _at(source: Source, loc: Path_, look_up: Any, name: str) -> None:
    try:
        look_up(name)
    except InputError as error:
        raise InputError(
            error.what,
            where=source.where(*loc),
            found=name if error.found is None else error.found,
            allowed=error.allowed,
            action=error.action,
        ) from None
