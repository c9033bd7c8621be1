"""How the replicas of a group draft the tokens that their decode steps verify."""

from __future__ import annotations

from planner.catalog.drafts import DraftMethod
from planner.evidence import Evidence
from planner.plan.part import PlanPart


class SpeculationPlan(PlanPart):
    """What drafts, how many tokens a step, and how many of them are expected to be accepted.

    ``acceptance``: share of the drafted tokens; a step then yields ``tokens_per_step`` on average.
    ``checkpoint``: of a draft of its own, held in ``weights``; ``weights_bytes``: its share of one GPU
    [B], ``kv_bytes_per_token`` what its cache adds there [B]; both count in the group's memory.
    ``evidence`` and ``source``: behind the acceptance.
    """

    method: DraftMethod
    label: str
    draft_tokens: int
    acceptance: float
    tokens_per_step: float
    checkpoint: str = ""
    weights: str = ""
    weights_bytes: float = 0.0
    kv_bytes_per_token: float = 0.0
    evidence: Evidence
    source: str = ""
