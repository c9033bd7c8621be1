"""Manifests and Helm values as plain data: bounded, without aliases, nothing executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from planner.errors import InputError
from planner.importing.secrets import shown

MAX_NODES = 2_000_000
MAX_DEPTH = 60
MAX_LISTS = 5  # lists of lists of objects
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Json = Mapping[str, Any]


def read_documents(text: str, where: str) -> list[Json]:
    """Every document of a YAML file that is a mapping, the items of lists by themselves.

    Raises InputError for text that is not YAML, for aliases, and beyond a size or depth.
    """
    try:
        _must_be_bounded(text, where)
        documents = list(yaml.load_all(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise InputError(f"not valid YAML: {shown(str(error.problem))}", where=place) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError):
        raise InputError("not valid YAML", where=where, action="validate it with kubectl") from None
    return [item for document in documents for item in flattened(document)]


def flattened(document: object, depth: int = 0) -> Iterator[Json]:
    """The objects of a document: itself, or what its list holds; lists in lists only so far."""
    if not isinstance(document, Mapping) or depth > MAX_LISTS:
        return
    items = document.get("items")
    if isinstance(items, list) and str(document.get("kind", "List")).endswith("List"):
        for item in items:
            yield from flattened(item, depth + 1)
    else:
        yield document


def kinds(objects: list[Json]) -> Counter[str]:
    """How many objects of each kind; values of a chart have none."""
    return Counter(str(item.get("kind", "values")) for item in objects)


def at(document: object, *path: str | int) -> Any:
    """What is at ``path``, or None where a part of it is missing or of another kind."""
    for part in path:
        if isinstance(part, int):
            fits = isinstance(document, list) and -len(document) <= part < len(document)
            document = document[part] if fits and isinstance(document, list) else None
        else:
            document = document.get(part) if isinstance(document, Mapping) else None
    return document


def mappings(value: object) -> list[Json]:
    """The mappings of a list; none where it is no list."""
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def count(value: object, default: int) -> int:
    """A whole number of at least 0, or ``default``."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if fits and isinstance(value, int) else default


def _must_be_bounded(text: str, where: str) -> None:
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent):
            mark: Any = event.start_mark
            raise InputError("aliases are not read", where=f"{where}:{mark.line + 1}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise InputError("the file is too large or too deeply nested", where=where)
