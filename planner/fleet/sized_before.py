"""Candidates of services that are asked again with another rate, target or wider search.

Explaining why no fleet exists solves dozens of slightly different questions; most of their
deployments have been sized under the very same service before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates import CandidateSet, enumerate_candidates
from planner.performance.factors import Calibration
from planner.scenario import Service

_IRRELEVANT = {"rate", "search", "priority", "max_deployments"}


class SizedBefore:
    """Sizes a service's candidates, once per GPU, engine and precision for the same question."""

    def __init__(self, catalog: Catalog, calibration: Calibration) -> None:
        self._catalog = catalog
        self._calibration = calibration
        self._known: dict[tuple[object, ...], CandidateSet] = {}

    def candidates(
        self, service: Service, offers: Iterable[Offer], gpu_shares: tuple[float, ...] = ()
    ) -> CandidateSet:
        """What ``enumerate_candidates`` returns, in the order of GPU, engine and precision."""
        asked = service.model_dump_json(exclude=_IRRELEVANT)
        largest: dict[str, Offer] = {}
        for offer in offers:
            if offer.gpu not in largest or offer.gpu_count > largest[offer.gpu].gpu_count:
                largest[offer.gpu] = offer
        search = service.search
        names = sorted(largest) if search.gpus == "all" else search.gpus
        gpus = dict.fromkeys(self._catalog.gpu(name).name for name in names)
        parts = [
            self._part(service, asked, engine, gpu, largest.get(gpu), weights, kv_cache, gpu_shares)
            for gpu, engine, weights, kv_cache in itertools.product(
                gpus, search.engines, search.weights, search.kv_cache
            )
        ]
        by_key = {c.key: c for part in parts for c in part.candidates}
        rejections = dict.fromkeys(r for part in parts for r in part.rejections)
        return CandidateSet(service.name, tuple(by_key.values()), tuple(rejections))

    def _part(
        self,
        service: Service,
        asked: str,
        engine: str,
        gpu: str,
        largest: Offer | None,
        weights: str,
        kv_cache: str,
        gpu_shares: tuple[float, ...],
    ) -> CandidateSet:
        node = largest.gpu_count if largest else 0
        rest = service.search.model_dump_json(exclude={"gpus", "engines", "weights", "kv_cache"})
        key = (asked, rest, engine, gpu, node, weights, kv_cache, gpu_shares)
        if key not in self._known:
            narrow = service.search.model_copy(
                update={
                    "gpus": (gpu,),
                    "engines": (engine,),
                    "weights": (weights,),
                    "kv_cache": (kv_cache,),
                }
            )
            self._known[key] = enumerate_candidates(
                service.model_copy(update={"search": narrow}),
                self._catalog,
                (largest,) if largest else (),
                self._calibration,
                gpu_shares,
            )
        return self._known[key]
