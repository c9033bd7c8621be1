"""The text of a scenario: safe YAML as plain data, with the line of every field.

No tags, no objects, no duplicate keys; size and node count are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from planner.errors import InputError

MAX_NODES = 100_000
MAX_DEPTH = 40

Loc = tuple[str | int, ...]


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
    lines: Mapping[Loc, int]

    def where(self, *loc: str | int) -> str:
        """``file:line, field`` of the deepest known part of ``loc``."""
        known: Loc = loc
        while known and known not in self.lines:
            known = known[:-1]
        field = ".".join(str(part) for part in loc)
        line = self.lines.get(known, 1)
        return f"{self.path}:{line}" + (f", {field}" if field else "")

    def service_path(self, index: int) -> Loc:
        """Where service ``index`` stands: flat files hold one service at the top."""
        return ("services", index) if "services" in self.data else ()


def parse_source(text: str, where: str) -> Source:
    """Parse scenario text; ``where`` names it in messages."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Loc, int] = {}
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
    except RecursionError:
        raise InputError("the scenario is too deeply nested", where=where) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"not valid YAML: {reason}", where=where) from None
    if not isinstance(data, dict):
        raise InputError(
            "a scenario is a mapping of fields",
            where=where,
            found=type(data).__name__ if data is not None else "an empty file",
            allowed="model, rate, prompt_tokens, output_tokens, slo, ...",
        )
    return Source(where, data, lines)


def _walk(node: yaml.Node, at: Loc, lines: dict[Loc, int], where: str, count: list[int]) -> None:
    """Record the line of every field below ``node``; refuse duplicate keys and alias bombs."""
    count[0] += 1
    if count[0] > MAX_NODES or len(at) > MAX_DEPTH:
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
