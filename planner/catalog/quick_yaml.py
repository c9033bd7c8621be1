"""YAML documents built straight from the parser's events, as PyYAML's own safe loader builds them.

PyYAML makes a node of each value and looks it through twice before there is a value; that takes most of a
file's time. Here a value is made of each event, and equal scalars of a document once. What is rare (tags,
anchors, merged mappings, keys that are no scalars or stand twice, several documents) is left to the loader.
"""

from __future__ import annotations

from typing import Any

import yaml

PREFIX = "tag:yaml.org,2002:"
TEXT, MERGE, VALUE = f"{PREFIX}str", f"{PREFIX}merge", f"{PREFIX}value"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTRUCTORS: Any = yaml.constructor.SafeConstructor.yaml_constructors


class NotPlain(Exception):
    """The document holds what only the loader reads."""


def plain_document(text: str) -> Any:
    """The content of a document; raises NotPlain, or what PyYAML raises, for what is left to its loader."""
    loader = _LOADER(text)
    try:
        return _Document(loader).content()
    finally:
        loader.dispose()


class _Document:
    def __init__(self, loader: Any) -> None:
        self._loader, self._next = loader, loader.get_event
        self._plain: dict[str, object] = {}

    def content(self) -> object:
        self._expect(yaml.StreamStartEvent)
        self._expect(yaml.DocumentStartEvent)
        found = self._value(self._next())
        self._expect(yaml.DocumentEndEvent)
        self._expect(yaml.StreamEndEvent)
        return found

    def _expect(self, kind: type[yaml.Event]) -> None:
        if not isinstance(self._next(), kind):
            raise NotPlain

    def _value(self, event: Any) -> object:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
            raise NotPlain
        return self._mapping() if kind is yaml.MappingStartEvent else self._sequence()

    def _mapping(self) -> dict[object, object]:
        found: dict[object, object] = {}
        while type(event := self._next()) is yaml.ScalarEvent:
            key = self._scalar(event)
            if key in found:
                raise NotPlain
            found[key] = self._value(self._next())
        if type(event) is not yaml.MappingEndEvent:
            raise NotPlain
        return found

    def _sequence(self) -> list[object]:
        found: list[object] = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            found.append(self._value(event))
        return found

    def _scalar(self, event: Any) -> object:
        if event.anchor is not None or event.tag is not None:
            raise NotPlain
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block
            return text
        if text not in self._plain:
            self._plain[text] = self._read(text)
        return self._plain[text]

    def _read(self, text: str) -> object:
        """A scalar without quotes: text, a number, a date, nothing."""
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag == TEXT:
            return text
        if tag in (MERGE, VALUE):
            raise NotPlain
        return _CONSTRUCTORS[tag](self._loader, yaml.ScalarNode(tag, text))
