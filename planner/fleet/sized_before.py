"""Candidates of services that are sized again with another rate, target or wider search.

Explaining why no fleet exists solves dozens of slightly different questions; most of their
deployments have been sized under the very same service before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.deployments import service_model
from planner.fleet.candidates.enumerate import Part, enumerate_candidates, enumerate_parts
from planner.fleet.candidates.known import Known
from planner.fleet.offers.networks import between_nodes_gb_s
from planner.performance.factors import Calibration
from planner.scenario.fleet import GpuPart
from planner.scenario.schema import Scenario, Service
from planner.sizing.precision import weights_for

Nodes = dict[str, dict[float, Offer]]  # by GPU type and network [GB/s]

_IRRELEVANT = {"rate", "search", "priority", "max_deployments"}


class SizedBefore:
    """Sizes a service's candidates, once per GPU, engine and precision for the same question.

    ``known``: of deployments, shared with other solves of this catalog and calibration.
    """

    def __init__(
        self, catalog: Catalog, calibration: Calibration, known: Known | None = None
    ) -> None:
        self._catalog = catalog
        self.calibration = calibration
        self.known = known or Known()
        self._parts: dict[tuple[object, ...], CandidateSet] = {}

    def sizing(
        self, scenario: Scenario, offers: Iterable[Offer]
    ) -> Callable[[Service], CandidateSet]:
        """A function from each of the scenario's services to its candidates on these offers."""
        shares, listed = scenario.sharing.gpu, tuple(offers)
        return lambda service: self.candidates(service, listed, shares)

    def candidates(
        self, service: Service, offers: Iterable[Offer], gpu_shares: tuple[GpuPart, ...] = ()
    ) -> CandidateSet:
        """What ``enumerate_candidates`` returns, in the order of GPU, engine and precision."""
        requested = service.model_dump_json(exclude=_irrelevant(service))
        nodes = self._nodes(offers)
        listed = tuple(offer for found in nodes.values() for offer in found.values())
        search = service.search
        if search.disaggregation is not None and search.disaggregation.mixes_gpus:
            return self._whole(service, requested, nodes, gpu_shares)
        names = sorted(nodes) if search.gpus == "all" else search.gpus
        gpus = dict.fromkeys(self._catalog.gpu(name).name for name in names)
        model, known = service_model(service, self._catalog), self._catalog.weight_format
        formats = {weights_for(model, name, known): name for name in reversed(search.weights)}
        rest = search.model_dump_json(exclude={"gpus", "engines", "weights", "kv_cache"})
        spanned: tuple[Part, ...] = tuple(
            itertools.product(gpus, search.engines, reversed(formats.values()), search.kv_cache)
        )
        keys = [(requested, rest, *part, _sizes(nodes, part[0]), gpu_shares) for part in spanned]
        new = {k: p for k, p in zip(keys, spanned, strict=True) if k not in self._parts}
        if new:
            found = enumerate_parts(
                service,
                self._catalog,
                listed,
                self.calibration,
                gpu_shares,
                self.known,
                tuple(new.values()),
            )
            self._parts.update(zip(new, found, strict=True))
        parts = [self._parts[key] for key in keys]
        by_key = {c.key: c for part in parts for c in part.candidates}
        rejections = dict.fromkeys(r for part in parts for r in part.rejections)
        return CandidateSet(service.name, tuple(by_key.values()), tuple(rejections))

    def _nodes(self, offers: Iterable[Offer]) -> Nodes:
        """All that sizing reads of offers: the largest node of each GPU type on each network."""
        nodes: Nodes = {}
        for offer in offers:
            joined = between_nodes_gb_s(offer, self._catalog.gpu(offer.gpu))
            found = nodes.setdefault(offer.gpu, {})
            if joined not in found or offer.gpu_count > found[joined].gpu_count:
                found[joined] = offer
        return nodes

    def _whole(
        self, service: Service, requested: str, nodes: Nodes, gpu_shares: tuple[GpuPart, ...]
    ) -> CandidateSet:
        """A search whose units may run on two GPU types, which no part of it has alone."""
        sizes = tuple((gpu, _sizes(nodes, gpu)) for gpu in sorted(nodes))
        key = (requested, service.search.model_dump_json(), sizes, gpu_shares)
        if key not in self._parts:
            listed = tuple(offer for found in nodes.values() for offer in found.values())
            self._parts[key] = enumerate_candidates(
                service, self._catalog, listed, self.calibration, gpu_shares, self.known
            )
        return self._parts[key]


def _irrelevant(service: Service) -> set[str]:
    """What no capacity depends on; of conversations it does on how many replicas share them, and how."""
    if service.conversations is None:
        return _IRRELEVANT
    return _IRRELEVANT - {"rate", "routing"}


def _sizes(nodes: Nodes, gpu: str) -> tuple[tuple[float, int], ...]:
    """The networks of a GPU type's nodes, each with the GPUs of its largest node."""
    return tuple(sorted((gb_s, offer.gpu_count) for gb_s, offer in nodes.get(gpu, {}).items()))
