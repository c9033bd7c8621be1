"""What fails as a whole, and which failures a fleet must survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.fleet.program.linear_program import Terms


@dataclass(frozen=True, slots=True)
class Atom:
    """Something that fails as a whole: a name, and the replicas of each kind lost with it."""

    name: str
    lost: Mapping[str, Terms]


@dataclass(frozen=True, slots=True)
class Failure:
    """Any ``most`` of ``atoms``, all of one ``sort``, may fail at once in period ``t``."""

    sort: str
    t: int
    most: int
    atoms: Sequence[Atom]
