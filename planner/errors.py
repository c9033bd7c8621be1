"""Every error a user can meet, and the exit code that goes with it.

PlannerError
├── InputError        exit 2   a scenario, config, trace, price file, log or option is wrong
│   ├── ScenarioErrors exit 2  several problems of one scenario file
│   └── OutputError   exit 2   a result cannot be written, or an optional package is missing
├── CatalogError      exit 4   shipped or ``--catalogs`` data is wrong
├── SolverError       exit 5   the solver stopped without an answer
└── PhysicsBreach     exit 70  a predicted number beats a physical floor: a bug, never a result

An infeasible plan is not an error: it is an answer (exit 3).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from planner.units import printable

_VERY_CLOSE = 0.75
MOST_SHOWN = 40  # problems of one file that are printed


class PlannerError(Exception):
    """One clear message: what is wrong, where, what was found, what is allowed, what to do next.

    Every part but ``what`` is optional; ``str(error)`` joins the given ones on separate lines.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: object = None,
        allowed: str | None = None,
        action: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.found = found
        self.allowed = allowed
        self.action = action
        super().__init__(what)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.found is not None:
            lines.append(f"  found:   {_short(self.found)}")
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.action:
            lines.append(f"  next:    {self.action}")
        return printable("\n".join(lines))


class InputError(PlannerError):
    """Something the user gave is invalid."""

    exit_code = 2


class ScenarioErrors(InputError):
    """Everything that is wrong with one scenario file; reads like its first problem.

    ``problems``: each with its own line. ``str`` gives them one after the other.
    """

    def __init__(self, problems: Sequence[InputError]) -> None:
        first = problems[0]
        super().__init__(
            first.what,
            where=first.where,
            found=first.found,
            allowed=first.allowed,
            action=first.action,
        )
        self.problems = tuple(problems)
        self.args = (self.problems,)  # what a process that unpickles it builds it from

    @property
    def shown(self) -> tuple[str, ...]:
        """The problems as text, the first ``MOST_SHOWN`` of them."""
        texts = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        more = len(self.problems) - MOST_SHOWN
        return (*texts, f"and {more:,} more problems") if more > 0 else tuple(texts)

    def __str__(self) -> str:
        return "\n".join(self.shown)


class OutputError(InputError):
    """A result cannot be written where or how it was requested."""


class CatalogError(PlannerError):
    """A catalog file breaks its contract (``catalogs/README.md``)."""

    exit_code = 4


class ScenarioWarning(FutureWarning):
    """Something in a scenario file is read, and worth a second look."""


class AmbiguousNumber(ScenarioWarning):
    """A number of a scenario file is read otherwise than it looks; a later release refuses it."""


class RenamedField(ScenarioWarning):
    """A scenario file uses a field's old name; a later release refuses it."""


class UnlikelyNumber(ScenarioWarning):
    """A number of a scenario file is possible and most likely a slip."""


class SolverError(PlannerError):
    """The solver failed or stopped before it found any plan."""

    exit_code = 5


class PhysicsBreach(PlannerError):
    """A predicted number beats a physical floor."""

    exit_code = 70


def header_found(header: Sequence[str], known: Iterable[str]) -> str:
    """The columns of a table for a message; those of a foreign file, which may be secret, only counted."""
    if not header:
        return "an empty file"
    if set(header) & set(known):
        return ", ".join(header)
    return f"{len(header)} column{'' if len(header) == 1 else 's'}, none of them known"


def in_words(value: object) -> str:
    """What stands where a mapping is expected, for a message: ``a list of 2``, ``the text 'abc'``, ``42``."""
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {_short(value, 60)!r}"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else _short(value)


def raise_problems(problems: Sequence[InputError]) -> None:
    """Raise what is wrong: one problem as itself, several as ``ScenarioErrors``, none not at all."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ScenarioErrors(problems)


def in_one_line(message: str) -> str:
    """A message of several lines for a list or a table: ``unknown GPU; found: h1000; next: ...``."""
    return "; ".join(" ".join(line.split()) for line in message.splitlines())


def nearest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return "did you mean X?" for the closest of ``names``, or None when nothing is close."""
    match = closest(name, names, cutoff)
    return None if match is None else f"did you mean {match!r}?"


def closest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the one of ``names`` closest to ``name``, or None when nothing is close.

    Closeness is difflib's ratio, of at least ``cutoff``. Where nothing is very close, a known name with
    something added ("l4-24gb") means that name.
    """
    requested = name.lower()
    lowered = {n.lower(): n for n in names}
    begun = [n for n in lowered if n and requested.startswith(f"{n}-")]
    match = (
        difflib.get_close_matches(requested, lowered, n=1, cutoff=max(cutoff, _VERY_CLOSE))
        or sorted(begun, key=len)[-1:]
        or difflib.get_close_matches(requested, lowered, n=1, cutoff=cutoff)
    )
    return lowered[match[0]] if match else None


def _short(value: object, limit: int = 200) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
