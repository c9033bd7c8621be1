"""How many kinds of replica a service may mix where its scenario leaves that open."""

from __future__ import annotations

from collections.abc import Callable

from planner.scenario.schema import Scenario, Service


def most_kinds(scenario: Scenario, service: Service, canonical_gpu: Callable[[str], str]) -> int:
    """The most kinds of replica that may share ``service``.

    Where it does not say: one for each GPU type that is there in a number (``existing`` or
    ``limits.stock``), which may not suffice alone, and one for what can be rented without end.
    ``canonical_gpu`` turns a GPU name of the scenario into the catalog's.
    """
    if service.max_deployments is not None:
        return service.max_deployments
    stocked = {canonical_gpu(e.gpu) for e in scenario.existing}
    stocked |= {canonical_gpu(name) for name in scenario.limits.stock}
    if service.search.gpus == "all":
        return 1 + len(stocked)
    named = {canonical_gpu(name) for name in service.search.gpus}
    return max(1, len(stocked & named) + (not named <= stocked))
