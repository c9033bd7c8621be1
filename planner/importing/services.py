"""What was seen and what runs, put together by model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.store import Catalog
from planner.errors import InputError, nearest
from planner.importing.observed import Seen
from planner.importing.running import Running
from planner.importing.secrets import looks_secret, shown
from planner.importing.sources import Fleet


@dataclass(frozen=True)
class ImportedService:
    """One model of the catalog, what its metrics say (None: none in the files), and what runs it."""

    name: str
    model: str
    seen: Seen | None
    running: tuple[Running, ...]


def imported_services(
    fleet: Fleet, catalog: Catalog, models: Mapping[str, str]
) -> tuple[ImportedService, ...]:
    """A service for each model that is seen or runs.

    ``models``: by the name that metrics or manifests give, the catalog's. Raises InputError for a model
    that neither the catalog nor ``models`` knows.
    """
    if not (fleet.seen or fleet.running):
        raise InputError(
            "GPUs or a rate are in the files, but no model that is served",
            found=", ".join(f"{n.nodes} x {n.gpus_per_node} {n.gpu}" for n in fleet.nodes) or None,
            action="add the metrics of the engines (vLLM, SGLang, TensorRT-LLM) or their manifests",
        )
    resolver = _Models(catalog, models, fleet)
    runs: dict[str, list[Running]] = {}
    for one in fleet.running:
        runs.setdefault(resolver.of_running(one), []).append(one)
    found: list[ImportedService] = []
    for metrics in fleet.seen:
        model = resolver.of_seen(metrics, tuple(runs))
        taken = {service.model for service in found}
        own = () if model in taken else tuple(runs.get(model, ()))
        found.append(_service(model, metrics, own, found))
    for model, own_runs in runs.items():
        if model not in {service.model for service in found}:
            found.append(_service(model, None, tuple(own_runs), found))
    return tuple(found)


def _service(
    model: str, metrics: Seen | None, own: tuple[Running, ...], others: list[ImportedService]
) -> ImportedService:
    names = [one.name for one in own if one.name and not looks_secret(one.name)]
    base = names[0] if names else model.rpartition("/")[2].lower()
    taken = {other.name for other in others}
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return ImportedService(name, model, metrics, own)


class _Models:
    """Names of models as files give them, and the catalog's."""

    def __init__(self, catalog: Catalog, models: Mapping[str, str], fleet: Fleet) -> None:
        self.known = {n.lower(): entry.name for entry in catalog.model_index() for n in entry.names}
        self.given = {given: self._catalog_name(name) for given, name in models.items()}
        self.served = {
            one.command.served_name: one for one in fleet.running if one.command.served_name
        }

    def of_running(self, one: Running) -> str:
        """The catalog's name of what runs."""
        stated = one.command.model
        for name in (one.command.served_name, stated, one.name):
            if name in self.given:
                return self.given[name]
        for name in (stated, one.command.served_name):
            if name.lower() in self.known:
                return self.known[name.lower()]
        raise self._unknown(stated or one.command.served_name, f"workload {shown(one.name)!r}")

    def of_seen(self, metrics: Seen, running: tuple[str, ...]) -> str:
        """The catalog's name of what metrics were seen of."""
        name = metrics.model
        if name in self.given:
            return self.given[name]
        if name in self.served:
            return self.of_running(self.served[name])
        if name.lower() in self.known:
            return self.known[name.lower()]
        if len(running) == 1:
            return running[0]
        raise self._unknown(name, f"metrics of {metrics.exporter}")

    def _catalog_name(self, name: str) -> str:
        if name.lower() not in self.known:
            raise self._unknown(name, "--model")
        return self.known[name.lower()]

    def _unknown(self, name: str, where: str) -> InputError:
        return InputError(
            "no such model in the catalog" if name else "a model without a name",
            where=where,
            found=shown(name),
            allowed="a name that planner catalog models lists",
            action=_which(None if looks_secret(name) else nearest(name, self.known.values())),
        )


def _which(near: str | None) -> str:
    """How to say which model a name means, and the name that is like it."""
    said = "say which it is: --model NAME=MODEL, with NAME as metrics or manifests give it"
    return said if near is None else f"{said}; {near}"
