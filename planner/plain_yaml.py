"""Plain YAML documents read from the parser's events, in one pass: twice as fast as through its nodes.

What a catalog file holds is mappings with text keys, lists and scalars without tags. Anything else (tags,
anchors, merges, a key given twice, several documents, errors) is ``Unusual``, and left to the full loader,
which reads it or says what is wrong with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"
DEEPEST = 50  # mappings and lists inside each other
MOST_SCALARS = 8192  # kept: words and numbers repeat
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_READ = {
    f"{TAG}{name}": getattr(yaml.constructor.SafeConstructor, f"construct_yaml_{name}")
    for name in ("null", "bool", "int", "float", "timestamp")
}


class Unusual(Exception):
    """The document is not plain."""


def plain_document(text: str) -> Any:
    """The content of a plain document, as ``yaml.safe_load`` reads it; raises Unusual for any other."""
    try:
        return _document(yaml.parse(text, Loader=_LOADER))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise Unusual from None


def _document(events: Any) -> Any:
    opened: list[Any] = []  # mappings and lists that are not ended
    keys: list[Any] = []  # of each of them the key whose value is next, NOTHING where a key is
    found: list[Any] = []
    for event in events:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.tag is not None or event.anchor is not None:
                raise Unusual
            value = _scalar(event.value) if event.implicit[0] else event.value
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            if event.tag is not None or event.anchor is not None or len(opened) > DEEPEST:
                raise Unusual
            opened.append({} if kind is yaml.MappingStartEvent else [])
            keys.append(NOTHING)
            continue
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            value = opened.pop()
            keys.pop()
        elif kind in FRAME:
            continue
        else:
            raise Unusual
        if not opened:
            found.append(value)
        elif type(opened[-1]) is list:
            opened[-1].append(value)
        elif keys[-1] is NOTHING:
            if isinstance(value, dict | list) or value in opened[-1]:
                raise Unusual
            keys[-1] = value
        else:
            opened[-1][keys[-1]] = value
            keys[-1] = NOTHING
    if len(found) != 1:
        raise Unusual
    return found[0]


NOTHING = object()
FRAME = (
    yaml.StreamStartEvent,
    yaml.StreamEndEvent,
    yaml.DocumentStartEvent,
    yaml.DocumentEndEvent,
)


@lru_cache(maxsize=MOST_SCALARS)
def _scalar(text: str) -> Any:
    """What a scalar without quotes stands for."""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in resolvers.get(text[:1], []) + resolvers.get(None, []):
        if pattern.match(text):
            if tag not in _READ:
                raise Unusual
            return _READ[tag](_CONSTRUCTOR, yaml.ScalarNode(tag, text))
    return text


_CONSTRUCTOR = yaml.constructor.SafeConstructor()
