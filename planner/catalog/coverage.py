"""How many of the classes that engines list the planner can size, and what else it reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from planner.catalog.architectures.registry import parser_of
from planner.catalog.store import Catalog

FALLBACK = "Transformers"  # the engines' own wrappers, which no checkpoint names


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """Of the classes of one kind that the newest version read of an engine lists, how many are known."""

    engine: str
    kind: str
    known: int
    listed: int


def class_coverage(catalog: Catalog) -> tuple[ClassCoverage, ...]:
    """Return the counts by engine and kind, in the order of the table."""
    listed: Counter[tuple[str, str]] = Counter()
    known: Counter[tuple[str, str]] = Counter()
    for row in catalog.engine_classes().values():
        if not row.is_listed or row.name.startswith(FALLBACK):
            continue
        key = (row.engine, row.kind)
        listed[key] += 1
        known[key] += parser_of(row.name) is not None
    return tuple(ClassCoverage(*key, known[key], count) for key, count in listed.items())
