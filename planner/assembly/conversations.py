"""What a plan takes for granted about conversations, in words."""

from __future__ import annotations

from planner.scenario.schema import Service
from planner.workload.lengths import lengths_of
from planner.workload.turns import recorded


def talks_as(service: Service) -> str:
    """How a service's requests come, in one sentence."""
    talk = service.conversations
    assert talk is not None
    if talk.trace is not None:
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
        "average; a turn comes when the answer before has ended and the think time has passed"
    )
