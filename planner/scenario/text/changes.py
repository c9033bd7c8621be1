"""The text of a scenario with fields set from outside it; comments and layout around them stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from planner.scenario.changes import FieldChange, with_changes
from planner.scenario.path_fields import from_working_directory
from planner.scenario.reader import MAX_SCENARIO_BYTES, decoded, find_scenario, read_source
from planner.scenario.text.yaml_source import Loader, Loc, parse_source
from planner.standard_input import NAME, is_stdin, stdin_bytes

ONE_LINE = 1_000_000  # columns: a value is never wrapped


def scenario_text(name: str | Path, changes: Sequence[FieldChange] = ()) -> str:
    """The text of a scenario file, a shipped scenario or stdin, with every change made in it.

    Raises InputError for a file that cannot be read, or a change that leads nowhere.
    """
    path = find_scenario(name)
    read_source(path)  # says what is wrong with the file
    data = stdin_bytes() if is_stdin(path) else path.read_bytes()[:MAX_SCENARIO_BYTES]
    where = NAME if is_stdin(path) else str(path)
    return changed_text(decoded(data, where), changes, where)


def changed_text(text: str, changes: Sequence[FieldChange], where: str) -> str:
    """The text with every change made; written anew where a change cannot be made in place."""
    for change in changes:
        before = parse_source(text, where)
        after = with_changes(before, (change,))
        loc = next(iter(after.given))
        value = from_working_directory(change.field, change.value, where)
        edited = _placed(text, loc, value)
        if edited is None or _as_json(parse_source(edited, where).data) != after.data:
            edited = yaml.safe_dump(after.data, sort_keys=False, allow_unicode=True)
        text = edited
    return text


def _as_json(data: dict[str, Any]) -> Any:
    """The data as changes leave it: keys are texts."""
    # a scenario's text that is not checked yet: anything that YAML holds
    return json.loads(json.dumps(data, default=str))


def _placed(text: str, loc: Loc, value: Any) -> str | None:
    """The text with the value in place of the field's own, or as a new field of its mapping."""
    node = yaml.compose(text, Loader=Loader)
    for depth, part in enumerate(loc):
        inner = _child(node, part)
        if inner is None:
            if not isinstance(node, yaml.MappingNode) or not isinstance(part, str):
                return None
            return _inserted(text, node, part, _nested(loc[depth + 1 :], value))
        node = inner
    if node is None:
        return None
    end = node.end_mark.index
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        end = node.start_mark.index + len(text[node.start_mark.index : end].rstrip())
    return text[: node.start_mark.index] + _flow(value) + text[end:]


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((inner for key, inner in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
        found = node.value[int(part)]
        assert isinstance(found, yaml.Node)
        return found
    return None


def _inserted(text: str, parent: yaml.MappingNode, key: str, value: Any) -> str:
    field = f"{_flow(key)}: {_flow(value)}"
    if parent.flow_style:
        end = parent.end_mark.index - 1
        return f"{text[:end].rstrip()}{', ' if parent.value else ''}{field}{text[end:]}"
    last_key, last = parent.value[-1]
    indent = parent.value[0][0].start_mark.column
    end = last_key.end_mark.index + len(
        text[last_key.end_mark.index : last.end_mark.index].rstrip()
    )
    line_end = text.find("\n", end)
    at = len(text) if line_end < 0 else line_end
    return f"{text[:at]}\n{' ' * indent}{field}{text[at:]}"


def _nested(loc: Loc, value: Any) -> Any:
    for part in reversed(loc):
        value = {str(part): value}
    return value


def _flow(value: Any) -> str:
    """A value in one line, as YAML writes it in flow style."""
    written: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=ONE_LINE, sort_keys=False
    )
    return written.removesuffix("\n").removesuffix("...").rstrip("\n")
