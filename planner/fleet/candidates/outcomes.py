"""How deployments fared under one question, kept between runs (``planner.cache_folder``).

A question is all that a service requires of a replica with the load it brings; its outcomes are
rows of plain numbers by deployment. What only a chosen candidate needs (its memory, its step model, its
latencies at capacity) is worked out again when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from planner import cache_folder
from planner.catalog.formats import WeightFormat
from planner.deployment import Deployment, Draft, EngineSettings
from planner.fleet.candidates.cuts import GpuCut
from planner.kept_rows import ALL, RowStore


def outcome_store(namespace: str) -> RowStore:
    """The outcomes of every question; ``namespace``: catalog, factors and program.

    A question is what a service requires, its load and its model, hashed; its rows are by ``outcome_name``.
    """
    return RowStore("sized", namespace, lasts=True, most_documents=ALL, most_rows=ALL)


def outcome_name(layout: str, room: tuple[int, int, bool]) -> str:
    """A layout by its ``layout_text``, with the nodes it may take (``node_room``)."""
    node, spanning, joined = room
    return f"{layout}|{node}|{spanning}{'' if joined else '|apart'}"


def layout_text(whole: Deployment, cut: GpuCut) -> str:
    """What distinguishes one deployment of a model from another."""
    d = whole
    parts = (
        d.gpu.name,
        d.gpu.driver_memory_mib,
        d.gpu.cuda_visible_gib,
        d.gpu.reserved_gib,
        d.gpu.offered_network_gb_s,
        cut.share,
        cut.profile,
        d.engine.name,
        d.engine.version,
        d.engine.defaults_of,
        d.degrees,
        _format_text(d.weights),
        d.kv_cache.name,
        _settings_text(d.settings),
        _draft_text(d.draft),
    )
    return "|".join(map(str, parts))


@lru_cache(maxsize=256)
def _format_text(weights: WeightFormat) -> str:
    held = (sorted(weights.keeps), weights.overrides, weights.expert_padding)
    return f"{weights.name} {cache_folder.key_of((repr(weights.bits), repr(held)))[:16]}"


@lru_cache(maxsize=256)
def _settings_text(settings: EngineSettings) -> str:
    return repr(settings)


@lru_cache(maxsize=256)
def _draft_text(draft: Draft | None) -> str:
    """All of a draft, its shapes among it, as a short hash; "" where nothing drafts."""
    return "" if draft is None else cache_folder.key_of((repr(draft),))[:16]


class Later(Mapping[str, float]):
    """Numbers by name that are worked out when first read."""

    def __init__(self, make: Callable[[], Mapping[str, float]]) -> None:
        self._make = make
        self._made: Mapping[str, float] | None = None

    def _values(self) -> Mapping[str, float]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: str) -> float:
        return self._values()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())
