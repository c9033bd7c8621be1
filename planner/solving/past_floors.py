"""What is predicted of deployments that their physical floors ruled out, where nothing serves a service.

A floor assumes every part at its peak, so the deployment with the lowest floor need not be the nearest to
its targets. Only where there is no fleet does it matter which is: elsewhere floors save their prediction.
"""

from __future__ import annotations

from dataclasses import replace

from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.rejection_reason import RejectionReason
from planner.fleet.sources import Sources
from planner.scenario.schema import Service
from planner.solving.stages import Decided


def past_floors(decided: Decided, sources: Sources) -> Decided:
    """The same decision, floors among the rejections of unserved services replaced by predictions.

    Those of pools for prefill and decode stay: a pool by itself has no latency to predict.
    """
    framed, found = decided.framed, dict(decided.candidates)

    def predicted(service: Service) -> CandidateSet:
        before = found[service.name]
        shares = decided.scenario.sharing.gpu
        alone = service.search.model_copy(update={"disaggregation": None})
        of_one_stage = service.model_copy(update={"search": alone})
        after = enumerate_candidates(
            of_one_stage,
            sources.catalog,
            framed.offers,
            sources.calibration,
            shares,
            sources.known,
            past_floors=True,
        )
        slow = {r.label: r for r in after.rejections if r.reason == RejectionReason.TOO_SLOW}
        rejections = (slow.get(r.label, r) if r.is_floor else r for r in before.rejections)
        return replace(before, rejections=tuple(rejections))

    for service in decided.scenario.services:
        ruled_out = found[service.name]
        if not ruled_out.candidates and any(r.is_floor for r in ruled_out.rejections):
            found[service.name] = predicted(service)
    return replace(decided, framed=replace(framed, candidates=found))
