"""Errors in the one shape every answer of the server gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from planner.catalog.store import Catalog
from planner.errors import MOST_SHOWN, InputError, PlannerError, ScenarioErrors
from planner.scenario.examination import examined
from planner.scenario.name_checks import check_names, name_problems
from planner.scenario.reader import validate
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import parse_source
from planner.web.uploads import SCENARIO, refuse_server_files, with_uploads

Json = dict[str, object]
DEFAULT_NAME = "scenario"
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
_FIELDS = {
    "tp": "tensor_parallel",
    "pp": "pipeline_parallel",
    "dp": "data_parallel",
    "ep": "expert_parallel",
}
_WHERE = re.compile(rf"^(?:.*/)?{re.escape(SCENARIO)}(?::(\d+))?(?:, (.*))?$")


def problem_of(error: PlannerError) -> Json:
    """What is wrong, its field and line, what was found, what is allowed, what to do next."""
    field, line = error.where, None
    match = _WHERE.match(error.where or "")
    if match:
        line, field = int(match[1]) if match[1] else None, match[2]
    return problem(
        flags_as_fields(error.what) or error.what,
        field=field,
        line=line,
        found=None if error.found is None else str(error.found)[:200],
        allowed=flags_as_fields(error.allowed),
        action=flags_as_fields(error.action),
        exit_code=error.exit_code,
    )


def problems_of(error: PlannerError) -> list[Json]:
    """Every problem of an error: each of a scenario that has several."""
    several = error.problems if isinstance(error, ScenarioErrors) else (error,)
    return [problem_of(one) for one in several[:MOST_SHOWN]]


def as_text(one: Json) -> str:
    """A problem in lines, for those who read no JSON; a scenario's fields and lines, no file's name."""
    place = [f"line {one['line']}"] if one["line"] else []
    place += [str(one["field"])] if one["field"] else []
    lines = [": ".join([", ".join(place), str(one["what"])]) if place else str(one["what"])]
    lines += [f"{key}: {one[key]}" for key in ("found", "allowed", "next") if one[key]]
    return "\n  ".join(lines)


def problem(
    what: str,
    *,
    field: str | None = None,
    line: int | None = None,
    found: str | None = None,
    allowed: str | None = None,
    action: str | None = None,
    exit_code: int = 2,
) -> Json:
    """One problem; ``exit_code`` is the command line's for the same one."""
    return {
        "what": what,
        "field": field,
        "line": line,
        "found": found,
        "allowed": allowed,
        "next": action,
        "exit_code": exit_code,
    }


def not_json(reason: str, position: int, body: str, action: str) -> Json:
    """A request whose body is no JSON: what stands where reading stopped, by line and character."""
    line = body.count("\n", 0, position) + 1
    column = position - (body.rfind("\n", 0, position) + 1) + 1
    there = repr(body[position : position + 20]) if position < len(body) else "the end"
    return problem(
        f"the request is not JSON: {reason}",
        line=line,
        found=f"{there} at line {line}, character {column}",
        action=action,
    )


def flags_as_fields(text: str | None) -> str | None:
    """Options of the command line, ``--price-of``, as the fields of a request, ``price_of``.

    A whole command, ``planner solve --set ...``, is left as it is.
    """
    if text is None or "planner " in text:
        return text
    return _FLAG.sub(lambda m: _FIELDS.get(m[1], m[1].replace("-", "_")), text)


def read_question(text: str, files: Mapping[str, str], folder: Path, catalog: Catalog) -> Scenario:
    """The scenario of ``text``, its files found in ``folder``; raises the first problem."""
    source = parse_source(text, str(folder / SCENARIO))
    scenario = validate(source, DEFAULT_NAME)
    for error in refuse_server_files(scenario, source, files, catalog):
        raise error
    scenario = with_uploads(scenario, folder)
    check_names(scenario, catalog, source)
    return scenario


def all_problems(
    text: str, files: Mapping[str, str], folder: Path, catalog: Catalog
) -> tuple[PlannerError, ...]:
    """Every problem of the text at once: fields that cannot be read, else files and names."""
    try:
        source = parse_source(text, str(folder / SCENARIO))
    except InputError as error:
        return (error,)
    _, wrong = examined(source, None, DEFAULT_NAME, None)
    if wrong:
        return wrong
    scenario = validate(source, DEFAULT_NAME)
    refused = tuple(refuse_server_files(scenario, source, files, catalog))
    if refused:  # the names are not looked up: a model's name could be one of these files
        return refused
    return tuple(name_problems(with_uploads(scenario, folder), catalog, source))
