"""Fields of a scenario set from outside its file: ``rate=80``, ``services.chat.slo.ttft_p99=1s``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from planner.errors import InputError, nearest
from planner.scenario.path_fields import from_working_directory
from planner.scenario.text.yaml_source import Loc, Source, parse_value
from planner.units import control_in

MAX_CHANGE_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field set to a value. ``option``: as it was given, for messages; ``numbers``: as written."""

    field: str
    value: object
    option: str
    numbers: Mapping[Loc, str]


def read_change(text: str) -> FieldChange:
    """Read ``FIELD=VALUE``; the value as YAML, so ``[1, 2]`` is a list and ``2s`` a text."""
    field, equals, written = text.partition("=")
    field = field.strip()
    try:
        if not field or not equals or len(text) > MAX_CHANGE_CHARACTERS:
            raise ValueError(text)
        value, numbers = parse_value(written, f"--set {text}")
        if control_in(value) is not None:
            raise ValueError(text)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError):
        raise InputError(
            "not a field and its value",
            where="--set",
            found=text,
            allowed="FIELD=VALUE, such as rate=80, slo.ttft_p99=1s or search.gpus=[h100, l40s]",
        ) from None
    return FieldChange(field, value, f"--set {text}", numbers)


def with_changes(source: Source, changes: Sequence[FieldChange]) -> Source:
    """The source with every change made; messages about those fields name the option.

    A file named by a change is looked for from the working directory first (``path_fields``).
    Raises InputError for a path that leads nowhere, or a field that every service overrides.
    """
    for change in changes:
        loc = _path(source, change)
        value = from_working_directory(change.field, change.value, source.path)
        data = changed(source.data, {".".join(map(str, loc)): value}, where=change.option)
        lines = {k: v for k, v in source.lines.items() if k[: len(loc)] != loc}
        numbers = {k: v for k, v in source.numbers.items() if k[: len(loc)] != loc}
        numbers |= {(*loc, *inner): written for inner, written in change.numbers.items()}
        given = {**source.given, loc: change.option}
        source = replace(source, data=data, lines=lines, numbers=numbers, given=given)
    return source


def _path(source: Source, change: FieldChange) -> Loc:
    """Where the field is in the file; a service may be named instead of numbered."""
    parts: list[str | int] = list(change.field.split("."))
    services = source.data.get("services")
    if not isinstance(services, list):
        if parts[0] == "services" and len(parts) > 1:
            raise InputError(
                "this file has one service, whose fields are not under services",
                where=change.option,
                action=f"set {'.'.join(map(str, parts[2:]))}=..." if len(parts) > 2 else None,
            )
        return tuple(parts)
    if parts[0] != "services":
        own = [s for s in services if isinstance(s, dict) and parts[0] in s]
        if own:
            names = [str(s.get("name", i)) for i, s in enumerate(services) if isinstance(s, dict)]
            raise InputError(
                f"services of this file have {parts[0]} of their own",
                where=change.option,
                action=f"name the service: services.{names[0]}.{change.field}=...",
                allowed=", ".join(f"services.{n}" for n in names[:12]),
            )
        return tuple(parts)
    if len(parts) > 1 and not str(parts[1]).isdigit():
        named = [
            i for i, s in enumerate(services) if isinstance(s, dict) and s.get("name") == parts[1]
        ]
        if not named:
            names = [str(s.get("name", i)) for i, s in enumerate(services) if isinstance(s, dict)]
            raise InputError(
                "no such service",
                where=change.option,
                found=parts[1],
                allowed=", ".join(names[:12]),
                action=nearest(str(parts[1]), names),
            )
        parts[1:2] = named[:1]
    elif len(parts) > 1:
        parts[1] = int(parts[1])
    return tuple(parts)


def changed(
    data: Mapping[str, object], changes: Mapping[str, object], where: str = "--set"
) -> dict[str, object]:
    """Return scenario data with dotted fields set: ``slo.ttft_p99``, ``services.0.rate``."""
    copy: dict[str, object] = json.loads(json.dumps(data, default=str))
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        at: dict[str, object] | list[object] = copy
        for depth, part in enumerate(parents, start=1):
            inner = (
                at[_index(part, at, dotted, where)]
                if isinstance(at, list)
                else at.setdefault(part, {})
            )
            if not isinstance(inner, (dict, list)):
                raise InputError(
                    f"{part} is a value, without fields of its own",
                    where=where,
                    found=dotted,
                    action=_whole(dotted.split("."), depth),
                )
            at = inner
        if isinstance(at, list):
            at[_index(last, at, dotted, where)] = value
        else:
            at[last] = value
    return copy


def _whole(names: list[str], depth: int) -> str:
    """How to set a field that is a value to one with fields: ``prompt_tokens={mean: 800, cv: 1}``."""
    inner = "VALUE"
    for name in reversed(names[depth:]):
        inner = f"[{inner}]" if name.isdigit() else f"{{{name}: {inner}}}"
    return f"set the whole of it: {'.'.join(names[:depth])}='{inner}'"


def _index(part: str, items: list[object], dotted: str, where: str) -> int:
    """The entry of a list by its number, or by its name where entries have names."""
    names = [item.get("name") for item in items if isinstance(item, dict)]
    if len(names) == len(items) and names.count(part) == 1:
        return names.index(part)
    if not (part.isascii() and part.isdigit()) or int(part) >= len(items):
        raise InputError(
            "no such list entry",
            where=where,
            found=dotted,
            allowed=", ".join([f"0 to {len(items) - 1}", *(str(n) for n in names if n)]),
        )
    return int(part)
