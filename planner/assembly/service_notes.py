"""What is taken for granted about a service that pools prompts, serves adapters or is a batch job."""

from __future__ import annotations

from collections.abc import Iterator

from planner.scenario.job import HOUR_S, Job
from planner.scenario.lora import Lora
from planner.scenario.request_classes import by_priority, levels_of
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE
from planner.units import counted


def service_notes(service: Service, label: str) -> Iterator[str]:
    """Assumptions of the plan; ``label`` goes before each where there are several services."""
    if service.job is not None:
        yield f"{service.name}: {_hours(service.job)}"
    if service.lora is not None:
        yield f"{label}{_adapters(service.lora)}"
    if service.classes:
        yield f"{label}{_classes(service)}"
    if service.prompts_per_call > 1:
        yield (
            f"{label}prompts come in calls of {service.prompts_per_call}, which one replica answers; a call "
            "ends with its last prompt, in the simulator: the closed form's E2E is of single prompts that "
            f"arrive with CV {service.prompts_cv:.3g}"
        )
    if service.task != GENERATE:
        yield (
            f"{label}prompts are pooled in one pass (task {service.task}): step times are those of "
            "prefill, prompts of decoders are split over steps and their prefixes cached as when "
            "generating (assumed)"
        )


def _hours(job: Job) -> str:
    """How the hours of a job were found."""
    return (
        "it runs in the hours of its window that the same program finds cheapest, without start-up times, "
        "at saturation and as early as the replicas of each hour allow; a failure delays it, and the "
        f"{job.within / HOUR_S:g} h include no reserve for that"
    )


def _classes(service: Service) -> str:
    """Who shares the replicas, in which order they are served, and what that leaves open."""
    named = ", ".join(f"{c.name} {100 * c.share:.3g} %" for c in service.classes)
    shared = (
        f"requests of {len(service.classes)} classes share every replica ({named}), each drawn anew"
    )
    tested = "no load test is printed for them, as benchmark clients send one kind of request"
    if not by_priority(service.classes):
        return f"{shared}, and wait first come, first served; {tested}"
    levels = levels_of(service.classes)
    order = ", then ".join(sorted(levels, key=lambda name: levels[name]))
    return (
        f"{shared}, and wait in the order {order}; clients send that order with each request; the closed "
        f"form leaves preemption out, the simulator plays it; {tested}"
    )


def _adapters(lora: Lora) -> str:
    """Who asks for which adapter, and what their kernels are taken to cost."""
    waits = ""
    if lora.loaded < lora.adapters:
        waits = (
            f"; a replica runs at most {counted(lora.most_sequences or 1, 'sequence')} at once, which "
            f"name {lora.loaded} of the {lora.adapters} adapters in the mean; copying the others from "
            "host memory is not modelled"
        )
    return (
        f"each request names one of {counted(lora.adapters, 'LoRA adapter')} of rank {lora.rank}, all "
        f"equally often, {lora.loaded} of them on each replica; the time of their kernels is that of one "
        f"measurement on another device (assumed){waits}"
    )
