"""The rows of a trace file, whatever it is written in."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from planner.errors import InputError
from planner.packed_files import not_text
from planner.workload.trace_columns import ALLOWED, TraceLayout, layout_of
from planner.workload.trace_records import record_kind, spans_of

MAX_TRACE_BYTES = 2_000_000_000
MAX_REQUESTS = 20_000_000
MAX_TOKENS = 10_000_000
MOST_SHOWN = (
    1_000_000  # bytes of a file that is no text, in which its first such byte is looked for
)
MAX_LIST_BYTES = 200_000_000
PARQUET_MAGIC = b"PAR1"
_DATE = re.compile(
    r"(?:(\d{4})[-/](\d\d)[-/](\d\d)|(\d\d)\.(\d\d)\.(\d{4}))"
    r"[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(?:Z|UTC|([+-]\d\d:?\d\d))?"
)
_THOUSANDS = re.compile(r"\d{1,3}([ ,_]\d{3})+")
_WRAPPERS = ("requests", "records", "trace", "rows", "data", "items", "entries")
_UTF_32_LE = b"\xff\xfe\x00\x00"  # begins like UTF-16
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(slots=True)
class TraceRows:
    """Requests as found, in the file's units; ``times`` is None for lengths alone.

    dates: whether times were written as dates, and are seconds since 1970; conversations: which one each
    is a turn of, "" where the file does not say; classes: likewise of which class it is.
    """

    layout: TraceLayout
    times: list[float] | None
    prompts: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    prefixes: list[tuple[int, ...]] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    dates: bool = False
    failed: int = 0

    def add(self, row: Mapping[str, object], where: str) -> None:
        """Take one request; InputError naming the row."""
        layout = self.layout
        output = row.get(layout.output)
        if layout.failed and str(output).strip() in ("0", "0.0"):
            self.failed += 1
            return
        prompt = _tokens(row.get(layout.prompt), where, "prompt")
        self.outputs.append(_tokens(output, where, "output"))
        self.prompts.append(prompt)
        if self.times is not None and layout.time is not None:
            cell = row.get(layout.time)
            self.dates = self.dates or isinstance(cell, datetime) or bool(_DATE.match(str(cell)))
            self.times.append(read_time_s(cell, where))
        self.prefixes.append(_prefix(row.get("hash_ids", []), where))
        talk = None if layout.conversation is None else row.get(layout.conversation)
        self.conversations.append("" if talk is None else str(talk))
        kind = None if layout.request_class is None else row.get(layout.request_class)
        self.classes.append("" if kind is None else str(kind).strip())
        if len(self.prompts) > MAX_REQUESTS:
            raise InputError(f"more than {MAX_REQUESTS:,} requests", where=where)


def read_rows(path: Path) -> TraceRows:
    """Return the requests of a file; InputError with file and line when it is bad."""
    _check_size(path)
    with path.open("rb") as binary:
        begins = binary.read(len(PARQUET_MAGIC))
    if begins == PARQUET_MAGIC:
        return _collect(path, _parquet(path))
    is_utf_16 = begins[:2] in _UTF_16 and begins[2:] != _UTF_32_LE[2:]
    encoding = "utf-16" if is_utf_16 else "utf-8-sig"  # spreadsheets write both
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline()
            file.seek(0)
            if first.lstrip().startswith("["):
                return _collect(path, _json_list(path, file.read(MAX_LIST_BYTES)))
            if first.lstrip().startswith("{"):
                return _collect(path, _json_lines(path, file))
            return _collect(path, _table(path, file, first))
    except UnicodeError:
        with path.open("rb") as binary:
            raise not_text("the trace", binary.read(MOST_SHOWN), str(path), InputError) from None


def _collect(path: Path, found: Iterator[tuple[str, Mapping[str, object]]]) -> TraceRows:
    rows: TraceRows | None = None
    for where, row in ((w, span) for w, outer in found for span in spans_of(outer)):
        kind = record_kind(row)
        flat = _with_usage(row) if kind is None else kind.flat(row)
        if flat is not None and not flat:
            continue  # no request
        if rows is None:
            layout = layout_of(flat or row, where) if kind is None else kind.layout
            rows = TraceRows(layout, None if layout.time is None else [])
        if flat is None:
            rows.failed += 1
            continue
        row = flat
        missing = [
            name
            for name in (rows.layout.time, rows.layout.prompt, rows.layout.output)
            if name is not None and name not in row
        ]
        if missing:
            raise InputError(
                "fields are missing: " + ", ".join(missing), where=where, found=", ".join(row)
            )
        rows.add(row, where)
    if rows is None:
        raise InputError("the trace has no requests", where=str(path))
    return rows


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size == 0:
        raise InputError("the trace is empty", where=str(path), allowed=ALLOWED)
    if size > MAX_TRACE_BYTES:
        raise InputError(
            "the trace is too large",
            where=str(path),
            found=f"{size:,} bytes",
            allowed=f"at most {MAX_TRACE_BYTES:,} bytes",
        )


def _table(
    path: Path, file: Iterable[str], first: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The rows of a table under its header; remarks above it begin with #."""
    lines, remarks = iter(file), 0
    for line in lines:
        if not line.startswith("#"):
            first, lines = line, itertools.chain([line], lines)
            break
        remarks += 1
    separator = separator_of(first)
    reader = csv.reader(lines, delimiter=separator)
    header = [name.strip() for name in next(reader, [])]
    if twice := [name for n, name in enumerate(header) if name and name in header[:n]]:
        raise InputError("a column is named twice", where=f"{path}:{remarks + 1}", found=twice[0])
    layout = layout_of(header, f"{path}:{remarks + 1}")
    for cells in reader:
        if not cells:
            continue
        where = f"{path}:{reader.line_num + remarks}"
        if len(cells) < len(header):
            raise InputError("the row is too short", where=where, found=f"{len(cells)} cells")
        row = dict(zip(header, cells, strict=False))
        if (
            separator == ";" and layout.time is not None
        ):  # where it separates cells, a comma is a point
            row[layout.time] = decimal_point(row[layout.time])
        yield where, row


def separator_of(header: str) -> str:
    """What separates the cells of a table, from its first line."""
    return max((",", ";", "\t", "|"), key=header.count)


def decimal_point(cell: str) -> str:
    """A number of a table whose cells semicolons separate, its decimal comma as a point."""
    return cell.replace(",", ".") if re.fullmatch(r"\s*\d+,\d+\s*", cell) else cell


def _with_usage(row: Mapping[str, object]) -> Mapping[str, object]:
    """The row with the token counts that an OpenAI response nests under ``usage``."""
    usage = row.get("usage")
    return {**usage, **row} if isinstance(usage, dict) else row


def _json_lines(path: Path, file: Iterable[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            if number == 1 and line.strip() == "{":
                yield from _json_object(path, "{" + "".join(file))
                return
            raise InputError("not a JSON object", where=where) from None
        if not isinstance(row, dict):
            raise InputError("not a JSON object", where=where)
        if isinstance(row.get("input_lens"), list):
            yield from _saved_lengths(row, where)
        else:
            yield from _unwrapped(row, where)


def _unwrapped(row: Mapping[str, object], where: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The requests that an object lists under a usual name, or the object itself."""
    for name in _WRAPPERS:
        listed = row.get(name)
        if isinstance(listed, list) and listed and all(isinstance(x, dict) for x in listed):
            yield from ((f"{where}, {name} {n}", entry) for n, entry in enumerate(listed, 1))
            return
    yield where, row


def _json_object(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """One object over several lines: a result saved with each request's lengths."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("not a JSON object", where=f"{path}:1") from None
    if isinstance(row.get("input_lens"), list):
        yield from _saved_lengths(row, str(path))
    else:
        yield from _unwrapped(row, str(path))


def _saved_lengths(
    row: Mapping[str, object], where: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The requests of ``vllm bench serve --save-detailed``, with their start times where it has them."""
    prompts, outputs, starts = (row.get(k) for k in ("input_lens", "output_lens", "start_times"))
    if not isinstance(prompts, list) or not isinstance(outputs, list):
        raise InputError("fields are missing: output_lens", where=where)
    timed = isinstance(starts, list) and len(starts) == len(prompts)
    for i, (prompt, output) in enumerate(zip(prompts, outputs, strict=False)):
        request: dict[str, object] = {"input_toks": prompt, "output_toks": output}
        if timed and isinstance(starts, list):
            request["arrival_time"] = starts[i]
        if output:
            yield f"{where}, request {i + 1}", request


def _json_list(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise InputError("not a JSON list", where=str(path), found=str(problem)) from None
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise InputError("not a JSON object", where=f"{path}, entry {number}", found=row)
        yield f"{path}, entry {number}", row


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            "reading Parquet needs pyarrow",
            where=str(path),
            action="install the extra: pip install 'llm-fleet-planner[parquet]', or write CSV",
        ) from None
    table = parquet.ParquetFile(path)
    layout_of(table.schema_arrow.names, str(path))
    number = 0
    for batch in table.iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", row


def read_time_s(cell: object, where: str) -> float:
    """Seconds from a number or a date and time (UTC without a zone); InputError naming ``where``."""
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    try:
        value = float(str(cell))
    except ValueError:
        value = _date_s(cell, where)
    if not math.isfinite(value) or value < 0:
        raise InputError("not a time", where=where, found=cell, allowed="a finite time from 0 on")
    return value


def _date_s(cell: object, where: str) -> float:
    match = _DATE.fullmatch(str(cell).strip())
    try:
        if match is None:
            raise ValueError
        year, month, day = match[1] or match[6], match[2] or match[5], match[3] or match[4]
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{match[7]}{match[9] or '+00:00'}")
        return moment.timestamp() + float(f"0.{match[8] or '0'}")
    except ValueError:
        raise InputError(
            "not a time",
            where=where,
            found=cell,
            allowed="seconds, or a date such as 2023-11-16 18:15:46.68",
        ) from None


def _tokens(cell: object, where: str, what: str) -> int:
    text = str(cell).strip()
    try:
        number = float(re.sub("[ ,_]", "", text) if _THOUSANDS.fullmatch(text) else text)
    except ValueError:
        number = math.nan
    if isinstance(cell, bool) or not number.is_integer() or not 1 <= number <= MAX_TOKENS:
        raise InputError(
            f"not a number of {what} tokens",
            where=where,
            found=cell,
            allowed=f"a whole number from 1 to {MAX_TOKENS:,}",
        )
    return int(number)


def _prefix(ids: object, where: str) -> tuple[int, ...]:
    if isinstance(ids, str) and ids.startswith("["):
        ids = json.loads(ids)
    if ids is None:
        return ()
    if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
        raise InputError("hash_ids must be a list of integers", where=where)
    return tuple(ids)
