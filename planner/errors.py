"""Every error a user can meet, and the exit code that goes with it.

PlannerError
├── InputError        exit 2   a scenario, config, trace, price file, log or option is wrong
│   └── OutputError   exit 2   a result cannot be written, or an optional package is missing
├── CatalogError      exit 4   shipped or ``--catalogs`` data is wrong
├── SolverError       exit 5   the solver stopped without an answer
└── PhysicsBreach     exit 70  a predicted number beats a physical floor: a bug, never a result

An infeasible plan is not an error: it is an answer (exit 3).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_VERY_CLOSE = 0.75


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
        return "\n".join(lines)


class InputError(PlannerError):
    """Something the user gave is invalid."""

    exit_code = 2


class OutputError(InputError):
    """A result cannot be written where or how it was asked for."""


class CatalogError(PlannerError):
    """A catalog file breaks its contract (``catalogs/README.md``)."""

    exit_code = 4


class SolverError(PlannerError):
    """The solver failed or stopped before it found any plan."""

    exit_code = 5


class PhysicsBreach(PlannerError):
    """A predicted number beats a physical floor."""

    exit_code = 70


def nearest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return "did you mean X?" for the closest of ``names``, or None when nothing is close.

    Closeness is difflib's ratio, of at least ``cutoff``. Where nothing is very close, a known name with
    something added ("l4-24gb") means that name.
    """
    asked = name.lower()
    lowered = {n.lower(): n for n in names}
    begun = [n for n in lowered if n and asked.startswith(f"{n}-")]
    match = (
        difflib.get_close_matches(asked, lowered, n=1, cutoff=max(cutoff, _VERY_CLOSE))
        or sorted(begun, key=len)[-1:]
        or difflib.get_close_matches(asked, lowered, n=1, cutoff=cutoff)
    )
    return f"did you mean {lowered[match[0]]!r}?" if match else None


def _short(value: object, limit: int = 200) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
