"""Time series of a dump: name, labels and points, from Prometheus's text format or its JSON answers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from planner.errors import InputError
from planner.importing.secrets import shown

MAX_POINTS = 5_000_000
MILLISECONDS = 1e11  # a time above is in milliseconds
_SAMPLE = re.compile(
    r"""([A-Za-z_:][A-Za-z0-9_:]*)\s*
    (?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?\s*
    ([^\s#]+)(?:\s+(-?[0-9.]+))?\s*(?:\#.*)?$""",
    re.VERBOSE,
)
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
Key = tuple[str, tuple[tuple[str, str], ...], int]
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class Series:
    """One time series; a point's time [s since 1970] is None where the dump does not say it.

    ``server``: its place among dumps that tell no time and the same labels (``joined``).
    """

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float | None, float], ...]
    server: int = 0

    @property
    def key(self) -> Key:
        """What tells this series from others."""
        return self.name, tuple(sorted(self.labels.items())), self.server

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    def steps(self) -> Iterator[tuple[float, float, float]]:
        """(from, to, increase) between points of a counter; a counter that fell began again at 0."""
        for (start, before), (end, after) in zip(self.points, self.points[1:], strict=False):
            if start is not None and end is not None and end > start:
                yield start, end, after - before if after >= before else after

    @property
    def increase(self) -> float:
        """How far a counter rose: between its points, or since it began where there is one."""
        if len(self.points) == 1:
            return self.last
        return math.fsum(rise for _, _, rise in self.steps())


def is_exposition(text: str) -> bool:
    """Whether ``text`` is in Prometheus's text format."""
    lines = (line for line in text[:20_000].splitlines() if line.strip())
    for line in lines:
        if line.startswith(("# HELP ", "# TYPE ")):
            return True
        if not line.startswith("#"):
            found = _SAMPLE.match(line.strip())
            return found is not None and _number(found[3]) is not None
    return False


def plain(name: str) -> str:
    """A metric's name as collectors that know no colons pass it on: ``vllm:x`` becomes ``vllm_x``."""
    return name.replace(":", "_")


def read_exposition(text: str, where: str, names: Collection[str]) -> list[Series]:
    """The series of ``names`` in a text dump, also by their ``plain`` names; others are left unread.

    Raises InputError for a line that begins like one of them and is none.
    """
    found = []
    known = {plain(name): name for name in names}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        name = known.get(plain(re.split(r"[{\s]", stripped, maxsplit=1)[0]))
        if name is None:
            continue
        match = _SAMPLE.match(stripped)
        value = _number(match[3]) if match else None
        if match is None or value is None:
            raise InputError(
                "not a sample of Prometheus's text format",
                where=f"{where}:{number}",
                found=f"a line of {name}",
                allowed='NAME{LABEL="VALUE",...} NUMBER [TIME]',
            )
        if math.isfinite(value):
            time = _number(match[4]) if match[4] else None
            seconds = _seconds(time) if time is not None else None
            found.append(Series(name, _labels(match[2] or ""), ((seconds, value),)))
    return found


def read_answer(answer: object, where: str, names: Collection[str] | None) -> list[Series]:
    """The series of a JSON answer to ``query`` or ``query_range``.

    ``names``: those to keep; None takes every series, named or not. Raises InputError for an answer
    that is an error, or of another form.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or status != "success":
        raise InputError(
            "not a successful answer of Prometheus",
            where=where,
            found=f"status {shown(str(status))}",
            allowed="the JSON of /api/v1/query or /api/v1/query_range",
        )
    results = data.get("result")
    if data.get("resultType") not in ("matrix", "vector") or not isinstance(results, list):
        raise InputError(
            "the answer holds no time series",
            where=where,
            found=f"resultType {shown(str(data.get('resultType')))}",
            allowed="matrix or vector",
        )
    known = {plain(name): name for name in names or ()}
    found, points = [], 0
    for number, result in enumerate(results):
        series = _series(result, f"{where}, data.result[{number}]")
        points += len(series.points)
        if points > MAX_POINTS:
            raise InputError("too many points", where=where, allowed=f"at most {MAX_POINTS:,}")
        name = series.name if names is None else known.get(plain(series.name))
        if series.points and name is not None:
            found.append(replace(series, name=name))
    return found


def unnamed(answer: object) -> int:
    """How many series of an answer have no metric name: results of rate() and other functions."""
    data = answer.get("data") if isinstance(answer, dict) else None
    results = data.get("result") if isinstance(data, dict) else None
    if not isinstance(results, list):
        return 0
    metrics = [r.get("metric") for r in results if isinstance(r, dict)]
    return sum(1 for metric in metrics if isinstance(metric, dict) and "__name__" not in metric)


def parse_json(text: str, where: str) -> object:
    """JSON as plain data; InputError with the line otherwise."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", where=f"{where}:{error.lineno}") from None
    except (RecursionError, ValueError):
        raise InputError("not valid JSON: nested too deeply", where=where) from None


def _series(result: object, where: str) -> Series:
    metric = result.get("metric") if isinstance(result, dict) else None
    values = None
    if isinstance(result, dict):
        values = result.get("values", [result["value"]] if "value" in result else None)
    if not isinstance(metric, dict) or not isinstance(values, list):
        raise InputError("not a time series", where=where, allowed="metric and values")
    labels = {str(k): str(v) for k, v in metric.items()}
    points: list[tuple[float | None, float]] = []
    for pair in values:
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError("not a point", where=where, allowed="[TIME, VALUE]")
        time, value = _number(str(pair[0])), _number(str(pair[1]))
        if time is None or value is None:
            raise InputError("not a time and a number", where=where, allowed="[TIME, VALUE]")
        if not math.isfinite(time):
            raise InputError("not a time", where=where, found=shown(str(pair[0])))
        if math.isfinite(value):
            points.append((_seconds(time), value))
    return Series(labels.pop("__name__", ""), labels, tuple(points))


def _labels(text: str) -> dict[str, str]:
    return {
        name: re.sub(r'\\[n"\\]', lambda found: _ESCAPES[found[0]], value)
        for name, value in _LABEL.findall(text)
    }


def _seconds(time: float) -> float:
    """A time in seconds; exporters and some gateways write milliseconds."""
    return time / 1000 if time > MILLISECONDS else time


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
