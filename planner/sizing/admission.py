"""What an engine counts for one request before it admits it, beyond what the request will hold."""

from __future__ import annotations

from dataclasses import replace

from planner.catalog.engine import Scheduler
from planner.deployment import Deployment
from planner.sizing.batch_limits import batch_limits
from planner.sizing.cache.kv_cache import growing_layers
from planner.sizing.cache.layout import KvLayout


def as_admitted(deployment: Deployment, layout: KvLayout) -> KvLayout:
    """The layout with what the engine counts for a request before it admits it."""
    engine, settings = deployment.engine, deployment.settings
    mixes = engine.scheduler is Scheduler.CHUNKED_PREFILL
    step = batch_limits(deployment).rank_tokens if mixes and layout.windows else 0
    copies, factor = 1, 1.0
    if layout.state_bytes_per_sequence and engine.hybrid_pages:
        copies += settings.draft_tokens + caches_states(deployment)
    if settings.draft_tokens and deployment.model.mtp and deployment.draft is None:
        growing = growing_layers(deployment.model)
        factor = (growing + 1) / growing if growing else 1.0
    if not (step or copies > 1 or factor > 1):
        return layout
    return replace(layout, step_tokens=step, state_copies=copies, draft_factor=factor)


def caches_states(deployment: Deployment) -> bool:
    """Whether prefix caching keeps states of recurrent layers: the setting, else the engine's choice."""
    chosen = deployment.settings.prefix_caching
    return deployment.engine.caches_states if chosen is None else chosen
