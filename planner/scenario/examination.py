"""Everything that is wrong with a scenario file, found in one go.

A wrong field hides what could be said about the rest: it is left out (a required one replaced by any
value that passes), and what remains is examined again, the catalog's names at the end.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from planner.errors import InputError
from planner.scenario.fleet import Load
from planner.scenario.job import REPLACED
from planner.scenario.lengths import Lengths
from planner.scenario.name_checks import name_problems, with_known_providers
from planner.scenario.request_classes import replaced_by_classes
from planner.scenario.schema import Scenario, Service
from planner.scenario.text.yaml_source import Loc, Source

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

Fields = dict[str, object]  # of YAML that has not passed the schema yet
ROUNDS = 6  # of leaving wrong fields out
_PLAN_PARTS = {"schema_version", "scenario"}
_STAND_INS = {
    "model": "-",
    "rate": 1.0,
    "prompt_tokens": 1,
    "output_tokens": 1,
    "slo": {"ttft_p99": "1s"},
}


def examined(
    source: Source, folder: Path | None, default_name: str, catalog: Catalog | None
) -> tuple[Scenario | None, tuple[InputError, ...]]:
    """The scenario, or None, and every problem of its file.

    ``folder``: where traces and configs named by the file are looked up. Names are checked with
    ``catalog`` only.
    """
    if source.data.keys() >= _PLAN_PARTS:
        return None, (_a_plan(source),)
    found: dict[str, InputError] = {p.where or "": p for p in source.problems}
    data = source.data
    scenario: Scenario | None = None
    before: set[Loc] = set()
    for _ in range(ROUNDS):
        try:
            scenario = Scenario.model_validate({"name": default_name, **data})
            break
        except ValidationError as error:
            from planner.scenario.validation_messages import complaints

            current = Source(source.path, data, source.lines, given=source.given)
            wrong = complaints(error, current)
            for loc, problem in wrong:
                if not any(seen[: len(loc)] == loc for seen in before):  # else left over from it
                    found.setdefault(problem.where or "", problem)
            before.update(loc for loc, _ in wrong)
            data = _without(data, [loc for loc, _ in wrong])
    if scenario is not None:
        if folder is not None:
            scenario = with_files_beside(scenario, folder)
        if catalog is not None:
            scenario = with_known_providers(scenario, catalog)
            for problem in name_problems(scenario, catalog, source):
                found.setdefault(problem.where or "", problem)
    return (None if found else scenario), tuple(found.values())


def _a_plan(source: Source) -> InputError:
    return InputError(
        "this is a plan, not a scenario",
        where=source.path,
        allowed="plans are read by: verify, deploy, report, diff, explain, simulate --plan",
        action="give the scenario it was solved from; the plan's `scenario` holds what it says",
    )


def _without(data: Fields, wrong: list[Loc]) -> Fields:
    """YAML that has not passed the schema yet, without the wrong fields, with required ones filled in."""
    left = copy.deepcopy(data)
    for loc in wrong:
        _leave_out(left, loc)
    services = left.get("services")
    if isinstance(services, list):
        filled: list[Fields] = [s if isinstance(s, dict) else {} for s in services]
        left["services"] = filled
        for service in filled:
            _fill_in(service, shared=left)
    else:
        left.pop("services", None)
        _fill_in(left, shared={})
    return left


def _leave_out(data: Fields, loc: Loc) -> None:
    """Remove the field at ``loc``, or the whole list it is in (services stay)."""
    at: object = data
    services = data.get("services")
    if loc[:1] == ("services",) and len(loc) > 2 and isinstance(services, list):
        assert isinstance(loc[1], int)
        at, loc = services[loc[1]], loc[2:]
    for n, part in enumerate(loc):
        last = n + 1 == len(loc) or isinstance(loc[n + 1], int)
        if not isinstance(at, dict) or part not in at:
            return
        if last:
            if not (at is data and part == "services"):
                del at[part]
            return
        at = at[part]


def _fill_in(service: Fields, shared: Fields) -> None:
    replaced = REPLACED if service.get("job") is not None else replaced_by_classes(service)
    for field, value in _STAND_INS.items():
        if field not in shared and field not in replaced:
            service.setdefault(field, value)


def with_files_beside(scenario: Scenario, folder: Path) -> Scenario:
    """Traces, rate series and model configs beside the scenario's file are found from any folder."""

    def found(lengths: Lengths) -> Lengths:
        beside = folder / lengths.trace if lengths.trace else None
        if beside is None or not beside.is_file():
            return lengths
        return lengths.model_copy(update={"trace": str(beside)})

    def series_found(load: Load | None) -> Load | None:
        beside = folder / load.series if load is not None and load.series else None
        if load is None or beside is None or not beside.is_file():
            return load
        return load.model_copy(update={"series": str(beside)})

    def resolved(service: Service) -> Service:
        own: dict[str, object] = {
            "prompt_tokens": found(service.prompt_tokens),
            "output_tokens": found(service.output_tokens),
            "load": series_found(service.load),
        }
        beside = folder / service.model if isinstance(service.model, str) else folder
        is_config = beside.suffix == ".json" and beside.is_file()
        if beside != folder and (is_config or (beside / "config.json").is_file()):
            return service.model_copy(update={**own, "model": str(beside)})
        return service.model_copy(update=own)

    services = tuple(resolved(s) for s in scenario.services)
    return scenario.model_copy(update={"services": services})
