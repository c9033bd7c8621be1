"""The text of a scenario: safe YAML as plain data, with the line of every field.

No tags, no objects, no duplicate keys; size and node count are bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from yaml.composer import ComposerError

from planner.errors import InputError, in_words, raise_problems
from planner.scenario.text.yaml_advice import advice
from planner.units import CONTROL

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
INVISIBLE = re.compile("[\u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]")
_END = "'<stream end>'"  # as PyYAML puts it
_NO_SPACE = re.compile(r"^[a-z_]+:\S")
MAX_NODES = 100_000
MAX_DEPTH = 40

Loc = tuple[str | int, ...]


class Loader(yaml.SafeLoader):
    """Safe YAML with 1e9 read as a number and duplicate keys refused."""


if TYPE_CHECKING:
    _Quickest = yaml.SafeLoader
else:  # PyYAML comes with or without libyaml, which no type says
    _Quickest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _QuickLoader(_Quickest):
    """The same by libyaml, six times as fast, for texts that both read alike."""


for _kind in (Loader, _QuickLoader):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )
# no quotes, tabs, tags, anchors, directives; nothing deep inside brackets, indents or lists of lists
PLAIN = re.compile(r"(?!---|%)[A-Za-z0-9_ ,.:/{}\[\]()=<>$#;~+\n-]*")
DEEP = re.compile(r"^[ -]{60}", re.MULTILINE)
MOST_BRACKETS = 100


@dataclass(frozen=True)
class Source:
    """A scenario file's data, the line of every field in it, and its numbers as they are written."""

    path: str
    data: dict[str, object]
    lines: Mapping[Loc, int]
    numbers: Mapping[Loc, str] = field(default_factory=dict)
    problems: tuple[InputError, ...] = ()  # of its text: fields given twice, invisible spaces
    given: Mapping[Loc, str] = field(default_factory=dict)  # fields set by options: the option

    def where(self, *loc: str | int) -> str:
        """``file:line, field`` of the deepest known part of ``loc``, or the option that set it."""
        field = ".".join(str(part) for part in loc)
        option = next(
            (self.given[loc[:n]] for n in range(len(loc), 0, -1) if loc[:n] in self.given), ""
        )
        place = option or f"{self.path}:{self.line(*loc)}"
        return place + (f", {field}" if field else "")

    def line(self, *loc: str | int) -> int:
        """The line of the deepest known part of ``loc``."""
        known: Loc = loc
        while known and known not in self.lines:
            known = known[:-1]
        return self.lines.get(known, 1)

    def service_path(self, index: int) -> Loc:
        """Where service ``index`` stands: flat files hold one service at the top."""
        return ("services", index) if "services" in self.data else ()


def parse_source(text: str, where: str) -> Source:
    """Parse scenario text; ``where`` names it in messages."""
    if _is_plain(text):
        with suppress(yaml.YAMLError, ValueError, OverflowError, RecursionError):
            walk = _Walk(where)
            data = _data(_QuickLoader(text), walk)
            if isinstance(data, dict):
                return Source(where, data, walk.lines, walk.numbers, tuple(walk.problems))
    walk = _Walk(where)
    try:
        data = _data(Loader(text), walk)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, where) from None
    except RecursionError:
        raise InputError(
            "the scenario is too deeply nested",
            where=where,
            action="remove brackets that hold nothing",
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"not valid YAML: {reason}", where=where, action="save the file as plain UTF-8 text"
        ) from None
    if not isinstance(data, dict):
        raise _no_mapping(data, where)
    return Source(where, data, walk.lines, walk.numbers, tuple(walk.problems))


def _no_mapping(data: object, where: str) -> InputError:
    action = "`planner init` writes a scenario to start from"
    if isinstance(data, str) and _NO_SPACE.search(data):
        action = "put a space after each colon, as in rate: 50"
    elif isinstance(data, list):
        action = "write fields without the leading dashes; several services go under services"
    return InputError(
        "a scenario is a mapping of fields",
        where=where,
        found="an empty file" if data is None else in_words(data),
        allowed="model, rate, prompt_tokens, output_tokens, slo, ...",
        action=action,
    )


def parse_value(text: str, where: str) -> tuple[object, Mapping[Loc, str]]:
    """One field's value, and its numbers as they are written; InputError for a key that stands twice.

    Raises what PyYAML raises for a text that is no YAML.
    """
    walk = _Walk(where)
    node = yaml.compose(text, Loader=Loader)
    if node is not None:
        walk.visit(node, ())
    raise_problems(walk.problems)
    return yaml.load(text, Loader=Loader), walk.numbers  # a SafeLoader


def _is_plain(text: str) -> bool:
    """Whether both loaders read a text alike, and neither goes deep."""
    brackets = text.count("[") + text.count("{")
    return bool(PLAIN.fullmatch(text)) and brackets < MOST_BRACKETS and not DEEP.search(text)


def _data(loader: yaml.SafeLoader, walk: _Walk) -> object:
    """The plain data of a document, each field walked."""
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        walk.visit(node, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _not_yaml(error: yaml.MarkedYAMLError, text: str, where: str) -> InputError:
    """What keeps the text from being YAML; an invisible space above the place is the likely cause."""
    mark = error.problem_mark or error.context_mark
    if isinstance(error, ComposerError) and "single document" in (error.context or ""):
        return InputError(
            "the file holds two YAML documents, and a scenario is one",
            where=f"{where}:{mark.line + 1}" if mark else where,
            action="remove the line --- or put the second scenario into a file of its own",
        )
    rows = text.splitlines()[: mark.line + 1 if mark else None]
    for number, row in enumerate(rows, start=1):
        if INVISIBLE.search(row.partition("#")[0]):
            return _invisible(f"{where}:{number}", row.strip("\n"))
    return InputError(
        f"not valid YAML: {error.problem or error.context}".replace(_END, "the end of the file"),
        where=f"{where}:{mark.line + 1}" if mark else where,
        action=advice(error),
    )


def _invisible(place: str, text: str) -> InputError:
    match = INVISIBLE.search(text)
    name = unicodedata.name(match[0], "an unknown character") if match else ""
    return InputError(
        "an invisible character is used where YAML needs a plain space",
        where=place,
        found=f"{name} (U+{ord(match[0]):04X})" if match else None,
        action="type the space again; such characters come with text copied from documents and chats",
    )


class _Walk:
    """Records every field's line and every number's text; refuses alias bombs."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lines: dict[Loc, int] = {}
        self.numbers: dict[Loc, str] = {}
        self.problems: list[InputError] = []
        self._nodes = 0

    def visit(self, node: yaml.Node, at: Loc) -> None:
        """Record ``node`` at ``at`` and everything below it."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(at) > MAX_DEPTH:
            raise InputError("the scenario is too large or too deeply nested", where=self.where)
        self.lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            if node.tag in _NUMBERS:
                self.numbers[at] = node.value
            self._check_characters(node)
        if isinstance(node, yaml.MappingNode):
            self._visit_fields(node, at)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*at, index))

    def _visit_fields(self, node: yaml.MappingNode, at: Loc) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            place = f"{self.where}:{key.start_mark.line + 1}"
            if name in seen:
                self.problems.append(
                    InputError(
                        f"the field {name!r} is given twice",
                        where=place,
                        action="keep one of the two",
                    )
                )
            if isinstance(key, yaml.ScalarNode):
                self._check_unicode(key)
            if isinstance(key, yaml.ScalarNode) and INVISIBLE.search(key.value):
                self.problems.append(_invisible(place, key.value))
            seen.add(name)
            self.lines[(*at, name)] = key.start_mark.line + 1
            self.visit(value, (*at, name))

    def _check_unicode(self, node: yaml.ScalarNode) -> None:
        """Refuse half a surrogate pair, which YAML can escape but no file or answer can carry."""
        try:
            node.value.encode()
        except UnicodeEncodeError:
            raise InputError(
                "not valid Unicode text",
                where=f"{self.where}:{node.start_mark.line + 1}",
                found=ascii(node.value),
            ) from None

    def _check_characters(self, node: yaml.ScalarNode) -> None:
        """A plain value never begins or ends with a space; no value holds control characters."""
        self._check_unicode(node)
        control = CONTROL.search(node.value)
        if control is not None:
            self.problems.append(
                InputError(
                    "a control character in text",
                    where=f"{self.where}:{node.start_mark.line + 1}",
                    found=f"U+{ord(control[0]):04X}",
                    action="remove it",
                )
            )
        ends = node.value[:1] + node.value[-1:]
        if not node.style and INVISIBLE.search(ends):
            place = f"{self.where}:{node.start_mark.line + 1}"
            self.problems.append(_invisible(place, ends))
