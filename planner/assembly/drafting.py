"""What a plan says about drafting: what is taken for granted where it drafts, and why where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from planner.deployment import Draft
from planner.fleet.candidates.candidate import Candidate
from planner.scenario.schema import Service
from planner.scenario.search.speculation import NONE
from planner.solving.stages import Decided


def drafting(decided: Decided) -> Iterator[str]:
    """Line by line over the services whose searches speak of drafts."""
    many = len(decided.scenario.services) > 1
    for service in decided.scenario.services:
        if service.search.speculative == (NONE,):
            continue
        label = f"{service.name}: " if many else ""
        chosen = [decided.by_key[kind] for kind in decided.replicas()]
        for candidate in (c for c in chosen if c.service == service.name):
            yield label + _said(candidate, decided, service)


def _said(candidate: Candidate, decided: Decided, service: Service) -> str:
    deployment = candidate.deployment
    draft, settings = deployment.draft, deployment.settings
    if draft is None:
        return _off(candidate, decided, service)
    own = f" by {draft.checkpoint}" if draft.checkpoint else ""
    return (
        f"{settings.draft_tokens} tokens drafted a step{own}, {100 * settings.draft_acceptance:.0f} % "
        f"of them accepted, {settings.tokens_per_step:.2f} tokens a step ({_basis(draft)}); "
        "text that is harder to guess is slower"
    )


def _basis(draft: Draft) -> str:
    """The grade of an acceptance and its source, once."""
    grade = draft.evidence.value
    return draft.source if draft.source.startswith(grade) else f"{grade}: {draft.source}"


def _off(candidate: Candidate, decided: Decided, service: Service) -> str:
    """The best that drafts on the same GPUs, beside what was chosen."""
    named = ", ".join(w.method for w in service.search.speculative if w != NONE)
    rivals = [
        c
        for c in decided.by_key.values()
        if c.service == service.name
        and c.deployment.draft is not None
        and c.deployment.gpu == candidate.deployment.gpu
    ]
    if not rivals:
        return f"speculation is off: no deployment that drafts ({named}) meets the targets"
    best = max(rivals, key=lambda c: c.capacity.qps / c.gpus)
    mine, theirs = candidate.capacity.qps / candidate.gpus, best.capacity.qps / best.gpus
    return (
        f"speculation is off, as it does not pay: the best deployment that drafts, {best.label}, has a "
        f"capacity of {theirs:.3g} requests/s per GPU, without drafts {mine:.3g}"
    )
