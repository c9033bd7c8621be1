"""Documents of a stack held against the fields its version has, from ``catalogs/stacks/``.

A field that the list does not know is an error here, not on the cluster. Where the list stops (a pod
template, a map of labels) what lies below is reported as unvalidated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from planner.catalog.tables import IsoDate, TableRow, read_table
from planner.errors import OutputError

FOLDER = "stacks"
BUG = "this is a bug: report it with the plan"
_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "int-or-string": lambda value: isinstance(value, (int, str)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


class FieldRow(TableRow):
    """One field of a stack's document: its path (``[]`` for list items), type and bounds."""

    kind: str
    api_version: str
    path: str
    type: str = ""
    required: bool = False
    enum: str = ""
    minimum: float | None = None
    source: str
    as_of: IsoDate


class StackComponentRow(TableRow):
    """A pinned image, chart or release of a stack; ``reference`` may name ``{version}``."""

    stack: str
    component: str
    reference: str
    version: str
    source: str
    as_of: IsoDate


class ValueRow(TableRow):
    """The field of a chart's values that carries a setting, and the option the chart makes of it."""

    setting: str
    field: str
    option: str
    source: str
    as_of: IsoDate


@dataclass(frozen=True)
class FieldList:
    """Every field of one kind of document in one version of a stack."""

    rows: Mapping[str, FieldRow]

    @property
    def first(self) -> FieldRow:
        """Any row: kind, version, source and date are the same in all."""
        return next(iter(self.rows.values()))

    def unvalidated(self, content: Mapping[str, object], where: str) -> tuple[str, ...]:
        """Hold ``content`` against the list; return the paths below which nothing could be checked.

        Raises OutputError for a field the version does not have, a missing one, and a value of the
        wrong type or outside its bounds.
        """
        walk = _FieldWalk(self.rows, where)
        walk.fields(content, "")
        return tuple(sorted(walk.open))


@lru_cache(maxsize=16)
def field_list(root: Path, stack: str) -> FieldList:
    """The fields of ``stack`` in the catalog in folder ``root``."""
    name = f"{stack.replace('-', '_')}.csv"
    rows = read_table(root / FOLDER / name, FieldRow)
    return FieldList({row.path: row for row in rows})


@lru_cache(maxsize=16)
def stack_component(root: Path, stack: str, component: str) -> StackComponentRow | None:
    """The pinned ``component`` of ``stack``; None where none is recorded."""
    rows = read_table(root / FOLDER / "components.csv", StackComponentRow)
    return next((r for r in rows if (r.stack, r.component) == (stack, component)), None)


@lru_cache(maxsize=4)
def value_rows(root: Path) -> tuple[ValueRow, ...]:
    """Which settings the production-stack chart has fields for."""
    return read_table(root / FOLDER / "vllm_values.csv", ValueRow)


class _FieldWalk:
    """One pass over a document; ``open`` collects where the list stops."""

    def __init__(self, rows: Mapping[str, FieldRow], where: str) -> None:
        self.rows = rows
        self.where = where
        self.open: set[str] = set()

    def fields(self, content: Mapping[str, object], path: str) -> None:
        prefix = f"{path}." if path else ""
        for name, value in content.items():
            self.value(value, f"{prefix}{name}")
        for row in self._direct(prefix):
            if row.required and row.path.removeprefix(prefix) not in content:
                raise self._wrong("a field that is required is missing", row.path)

    def value(self, value: object, path: str) -> None:
        row = self.rows.get(path)
        if row is None and not self._below(path):
            raise self._wrong("this version of the stack has no such field", path)
        if row is not None:
            self._check(row, value)
        if isinstance(value, Mapping):
            self._inside(path, lambda: self.fields(value, path))
        elif isinstance(value, list):
            self._inside(path, lambda: self._items(value, f"{path}[]"))

    def _inside(self, path: str, go_on: Callable[[], None]) -> None:
        if self._below(path):
            go_on()
        else:
            self.open.add(path)

    def _items(self, items: Sequence[object], path: str) -> None:
        for item in items:
            if path in self.rows or self._below(path):
                self.value(item, path)

    def _check(self, row: FieldRow, value: object) -> None:
        kinds = [k for k in row.type.split(";") if k]
        if kinds and not any(_TYPES[kind](value) for kind in kinds):
            raise self._wrong(f"not a value of type {' or '.join(kinds)}", row.path, value)
        if row.enum and value not in row.enum.split(";"):
            raise self._wrong("not one of its values", row.path, value, row.enum.replace(";", ", "))
        if row.minimum is not None and isinstance(value, (int, float)) and value < row.minimum:
            raise self._wrong("below its minimum", row.path, value, f"{row.minimum:g} or more")

    def _direct(self, prefix: str) -> Iterator[FieldRow]:
        for path, row in self.rows.items():
            rest = path.removeprefix(prefix)
            if path.startswith(prefix) and "." not in rest and "[" not in rest:
                yield row

    def _below(self, path: str) -> bool:
        return any(p.startswith((f"{path}.", f"{path}[]")) for p in self.rows)

    def _wrong(
        self, what: str, path: str, found: object = None, allowed: str | None = None
    ) -> OutputError:
        return OutputError(
            what, where=f"{self.where}, {path}", found=found, allowed=allowed, action=BUG
        )
