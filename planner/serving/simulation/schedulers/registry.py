"""Which module has which engine's scheduler."""

from __future__ import annotations

from planner.catalog.engine import Scheduler
from planner.serving.simulation.replica import Composer
from planner.serving.simulation.schedulers.chunked_prefill import ChunkedPrefill
from planner.serving.simulation.schedulers.no_evict import NoEvict
from planner.serving.simulation.schedulers.prefill_first import PrefillFirst

_COMPOSERS: dict[Scheduler, type[ChunkedPrefill] | type[PrefillFirst] | type[NoEvict]] = {
    Scheduler.CHUNKED_PREFILL: ChunkedPrefill,
    Scheduler.PREFILL_FIRST: PrefillFirst,
    Scheduler.NO_EVICT: NoEvict,
}


def composer(scheduler: Scheduler) -> Composer:
    """A fresh composer of that scheduler; each replica needs its own."""
    return _COMPOSERS[scheduler]()
