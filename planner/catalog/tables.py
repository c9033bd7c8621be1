"""Reading catalog files: CSV tables and YAML documents, checked row by row.

A bad cell is reported as ``file:line:column``, with what was found and what is allowed. Shipped data
raises ``CatalogError`` (exit 4), a user's own file ``InputError`` (exit 2): the caller says which.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from planner.catalog.parsed import parsed_once
from planner.errors import CatalogError, PlannerError, header_found, nearest
from planner.packed_files import not_text
from planner.units import CONTROL

MAX_TABLE_BYTES = 20_000_000
MAX_YAML_BYTES = 2_000_000

_UNKNOWN_FIELD = ("extra_forbidden", "unexpected_keyword_argument")
_ALLOWED = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "missing": "a value",
    "string_type": "text",
    **dict.fromkeys(("model_type", "dict_type", "dataclass_type"), "a mapping of fields"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(_UNKNOWN_FIELD, "the fields that catalogs/README.md lists"),
}
_COMPARISONS = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number of at least", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number of at most", "le"),
    "string_too_short": ("text of length", "min_length"),
    "string_pattern_mismatch": ("text matching", "pattern"),
}


@lru_cache(maxsize=1024)
def _iso_date(text: str) -> str:
    """Return ``text`` when it is a day as YYYY-MM-DD; raises ValueError otherwise."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("a date written YYYY-MM-DD")


IsoDate = Annotated[str, AfterValidator(_iso_date)]


class TableRow(BaseModel):
    """One line of a table; empty cells take the field's default, unknown columns are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


RowType = TypeVar("RowType", bound=TableRow)


def read_rows(
    path: Path, row_type: type[RowType], error: type[PlannerError] = CatalogError
) -> list[tuple[int, RowType]]:
    """Return ``(line, row)`` for every line of a CSV file with a header.

    Raises ``error`` when the file cannot be read, a column is unknown or missing, or a cell breaks
    its type or bounds.
    """
    lines: list[int] = []
    cells: list[dict[str, str]] = []
    for line, record in _records(path, row_type, error):
        lines.append(line)
        cells.append(record)
    try:
        many: Any = GenericAlias(list, (row_type,))
        rows: list[RowType] = TypeAdapter(many).validate_python(cells)
    except ValidationError as problem:
        raise _cell_error(path, lines, problem, error) from None
    return list(zip(lines, rows, strict=True))


def read_table(path: Path, row_type: type[RowType]) -> tuple[RowType, ...]:
    """Return the rows of a CSV file with a header; raises CatalogError as ``read_rows`` does."""
    return tuple(row for _, row in read_rows(path, row_type))


def _records(
    path: Path, row_type: type[TableRow], error: type[PlannerError]
) -> Iterator[tuple[int, dict[str, str]]]:
    text = read_text(path, MAX_TABLE_BYTES, error)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise error("the table is empty", where=f"{path}:1", allowed="a header line")
        _check_header(path, header, row_type, error)
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                raise error(
                    "the line does not have one cell per column",
                    where=f"{path}:{reader.line_num}",
                    found=f"{len(values)} cells",
                    allowed=f"{len(header)} cells",
                )
            yield reader.line_num, {k: v.strip() for k, v in zip(header, values, strict=True) if v}
    except csv.Error as problem:
        where = f"{path}:{reader.line_num}"
        raise error(f"not a CSV file: {problem}", where=where) from None


def _check_header(
    path: Path, header: list[str], row_type: type[TableRow], error: type[PlannerError]
) -> None:
    known = row_type.model_fields
    foreign = not set(header) & set(known)
    for column in header:
        if column not in known:
            raise error(
                "unknown column",
                where=f"{path}:1" if foreign else f"{path}:1:{column}",
                found=header_found(header, known) if foreign else column,
                allowed=", ".join(known),
                action="separate columns with commas"
                if len(header) == 1 and re.search(r"[;\t|]", column)
                else nearest(column, known),
            )
    if len(set(header)) != len(header):
        raise error("a column is named twice", where=f"{path}:1", found=",".join(header))
    missing = [n for n, field in known.items() if field.is_required() and n not in header]
    if missing:
        raise error(
            "a column is missing",
            where=f"{path}:1",
            found=header_found(header, known),
            allowed=f"also {', '.join(missing)}",
        )


def _cell_error(
    path: Path, lines: list[int], problem: ValidationError, error: type[PlannerError]
) -> PlannerError:
    first = problem.errors()[0]
    index, *field = first["loc"]
    where = f"{path}:{lines[int(index)]}:{'.'.join(map(str, field))}"
    return error(
        f"invalid cell ({problem.error_count()} in this file)"
        if problem.error_count() > 1
        else "invalid cell",
        where=where,
        found=_found(first),
        allowed=_allowed(first["type"], first.get("ctx", {}), first["msg"]),
    )


def _found(problem: Mapping[str, Any]) -> object:
    return "(empty)" if problem["type"] == "missing" else problem["input"]


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _ALLOWED:
        return _ALLOWED[kind]
    if kind in _COMPARISONS:
        text, key = _COMPARISONS[kind]
        bound = context[key]
        return f"{text} {bound:g}" if isinstance(bound, float) else f"{text} {bound}"
    if "expected" in context:
        return str(context["expected"])
    return message.removeprefix("Value error, ")


def read_text(path: Path, limit_bytes: int, error: type[PlannerError]) -> str:
    """Return a UTF-8 file's text; refuses what is missing, larger than ``limit_bytes`` or binary."""
    try:
        if not path.is_file():
            raise error("no such file", where=str(path))
        size = path.stat().st_size
        if size > limit_bytes:
            raise error(
                "the file is too large",
                where=str(path),
                found=f"{size:,} bytes",
                allowed=f"at most {limit_bytes:,} bytes",
            )
        data = path.read_bytes()
    except OSError as problem:
        raise error(f"cannot read the file: {problem.strerror}", where=str(path)) from None
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise not_text("the file", data, str(path), error) from None
    if "\0" in text:
        raise error("not a text file: it holds NUL bytes", where=str(path))
    control = CONTROL.search(text)
    if control is not None:
        raise error(
            "the file holds a control character",
            where=f"{path}:{text.count(chr(10), 0, control.start()) + 1}",
            found=f"U+{ord(control[0]):04X}",
            action="remove it",
        )
    return text


class _UniqueKeys(yaml.constructor.SafeConstructor):
    """Safe construction that refuses a key given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key_node.start_mark
                )
            if key in values:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            values[key] = value_node
        return {key: self.construct_object(value, deep=deep) for key, value in values.items()}


_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOADER: Any = type("_UniqueKeyLoader", (_UniqueKeys, _SAFE_LOADER), {})


def read_yaml(path: Path, error: type[PlannerError] = CatalogError) -> Any:
    """Return the content of a YAML file; nothing in it is executed, duplicate keys are errors.

    JSON is YAML that is read in a fiftieth of the time, so files that programs write are JSON.
    """
    text = read_text(path, MAX_YAML_BYTES, error)
    if text.startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            pass  # as YAML it may be good, else the line at fault is known
    try:
        return parsed_once("yaml", text, _parsed)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise error(f"not valid YAML: {problem.problem}", where=where) from None
    except yaml.YAMLError as problem:
        raise error(f"not valid YAML: {problem}", where=str(path)) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON whose keys differ; raises ValueError for others."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is given twice")
    return values


def _parsed(text: str) -> Any:
    _refuse_aliases(text)
    return yaml.load(text, Loader=_LOADER)


def _refuse_aliases(text: str) -> None:
    """Aliases can multiply a small file into an endless document, so none are read."""
    if re.search(r"(^|[\s\[{,:-])\*\w", text):
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)


DocumentType = TypeVar("DocumentType")


def validate_document(
    path: Path,
    content: object,
    document_type: type[DocumentType],
    error: type[PlannerError] = CatalogError,
) -> DocumentType:
    """Return ``content`` as ``document_type``; raises ``error`` with the path to the wrong field."""
    try:
        return TypeAdapter(document_type).validate_python(content)
    except ValidationError as problem:
        errors = problem.errors()
        unknown = [e for e in errors if e["type"] in _UNKNOWN_FIELD]
        first = (unknown or errors)[0]
        raise error(
            "unknown field" if unknown else "invalid field",
            where=": ".join(filter(None, (str(path), ".".join(map(str, first["loc"]))))),
            found=_found(first),
            allowed=_allowed(first["type"], first.get("ctx", {}), first["msg"]),
        ) from None
