"""What a plan takes for granted about conversations, in words."""

from __future__ import annotations

from collections.abc import Iterator

from planner.scenario.schema import Service
from planner.solving.stages import Decided, SolvedFleet
from planner.workload.lengths import lengths_of


def talks_as(service: Service) -> str:
    """How a service's requests come, in one sentence."""
    talk = service.conversations
    assert talk is not None
    if talk.trace is not None:
        from planner.workload.turns import recorded

        trace = recorded(talk)
        return (
            f"{len(trace):,} recorded requests of {trace.name} with the prefixes they share, "
            f"repeated and overlaid to make {service.rate:g} requests/s"
        )
    lengths = lengths_of(service)
    assert talk.turns is not None
    return (
        f"requests are turns of conversations that start as {service.arrivals.process} arrivals, "
        f"about {talk.turns.mean:g} turns each with prompts of {lengths.mean_prompt:,.0f} tokens on "
        "average; a turn is sent when the previous response has ended and the think time has passed"
    )


def offloads(decided: Decided) -> Iterator[str]:
    """Where chosen replicas keep KV blocks outside the GPU, and at what rate they are taken to come back."""
    for kind in decided.replicas():
        deployment = decided.by_key[kind].deployment
        settings, support = deployment.settings, deployment.engine.kv_offload
        if not settings.offload_host_gb or support is None:
            continue
        rate = settings.offload_gb_s or deployment.gpu.pcie_gb_s
        stated = "stated" if settings.offload_gb_s else "nominal PCIe rate, assumed"
        disk = f" and {settings.offload_disk_gb:g} GB of disk" if settings.offload_disk_gb else ""
        yield (
            f"{deployment.engine.name} keeps KV blocks in {settings.offload_host_gb:g} GB of host "
            f"memory{disk} per replica and reloads them at {rate:g} GB/s per GPU ({stated}); whether the "
            "instances have this memory is not checked"
        )


def caches_at_risk(found: SolvedFleet) -> Iterator[str]:
    """A warning for each service whose prefix caches a little more load would cost."""
    for name, hits in found.prefix_hits.items():
        lost = hits.lost
        if lost is None:
            continue
        missed = "" if lost.holds is None else ", and targets are missed"
        yield (
            f"{name} is so near its capacity that {lost.changed} lose its prefix caches: "
            f"{100 * lost.share:.0f} % of the prompt tokens are found there in place of "
            f"{100 * hits.share:.0f} %{missed}; histories that are lost are computed again, which keeps "
            "the caches short: size for more requests, or limit the queue (routing.max_queue)"
        )
