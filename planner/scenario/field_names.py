"""The fields of a scenario by the document that holds them, and which one an unknown word means."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import get_args

from pydantic import BaseModel

from planner.errors import closest
from planner.scenario.money import Ranged
from planner.scenario.renames import FIELDS
from planner.scenario.schema import Scenario, Service
from planner.scenario.slo import Slo
from planner.scenario.synonyms import MEANS

_AS_VALUES = (Ranged, Slo)  # written as numbers, or with keys that are no fields
_SLO = ("ttft_p99", "tpot_p99", "ttft_p50", "tpot_p50", "itl_p99", "e2e_p99", "goodput")
_NOT_SUGGESTED = ("services", *FIELDS)  # lists of documents, and old names


@cache
def _documents() -> dict[str, tuple[str, type[BaseModel]]]:
    """The path and the class of every document by the field that holds it; a service's lie at the top."""
    found: dict[str, tuple[str, type[BaseModel]]] = {}

    def walk(document: type[BaseModel], path: str) -> None:
        for name, field in document.model_fields.items():
            for inner in _documents_in(field.annotation):
                at = "" if inner is Service else f"{path}.{name}".removeprefix(".")
                found[name] = at, inner
                walk(inner, at)

    walk(Scenario, "")
    return found | {old: found[new] for old, new in FIELDS.items() if new in found}


def _documents_in(annotation: object) -> Iterator[type[BaseModel]]:
    if annotation in _AS_VALUES:
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _documents_in(part)


def fields_of(parent: str) -> list[str]:
    """The fields of the document under ``parent``; "" is the top of the file."""
    if parent == "slo":
        return list(_SLO)
    if parent in _documents():
        return list(_documents()[parent][1].model_fields)
    return [*Service.model_fields, *(f for f in Scenario.model_fields if f != "name")]


def suggestion(name: str, parent: str) -> str | None:
    """The field that an unknown ``name`` under ``parent`` means; dotted where it is another document's.

    In turn: a field that is very like it here, a word that means the same, a field of that very name
    elsewhere, and the nearest here.
    """
    here = fields_of(parent)
    word = name.lower().replace("-", "_")
    very_like = closest(word, here, cutoff=0.8)
    if very_like is not None:
        return very_like
    meant = MEANS.get(word) or _elsewhere().get(word)
    if meant is not None:
        path, _, last = meant.rpartition(".")
        return last if path == path_of(parent) or (not path and last in here) else meant
    return closest(word, here)


def path_of(parent: str) -> str:
    """The dotted path of the document under ``parent``."""
    return _documents()[parent][0] if parent in _documents() else parent


def dotted_fields() -> list[str]:
    """Every field that holds a value, dotted from the top of a scenario with one service."""
    documents = _documents()
    tops = [f for f in fields_of("") if f not in _NOT_SUGGESTED and f not in documents]
    inner = [f"slo.{f}" for f in _SLO]
    for parent, (path, document) in documents.items():
        if parent not in (*_NOT_SUGGESTED, "quotas", "existing"):
            inner += [f"{path}.{f}" for f in document.model_fields if f not in documents]
    return [*tops, *inner]


@cache
def _elsewhere() -> dict[str, str]:
    """Fields whose name is in one document only, with their dotted path."""
    found: dict[str, set[str]] = {}
    for dotted in (*dotted_fields(), *fields_of("")):
        found.setdefault(dotted.rpartition(".")[2], set()).add(dotted)
    return {name: next(iter(paths)) for name, paths in found.items() if len(paths) == 1}
