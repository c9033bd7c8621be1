"""Which engine version a plan is for, how old it is, and whether it was measured at such a load."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from planner.accuracy.measured_range import measured_concurrency, newest_measured
from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.store import Catalog
from planner.fleet.candidates.candidate import Candidate
from planner.serving.limits import replica_limits
from planner.solving.stages import Decided

DAYS_A_MONTH = 365.25 / 12


def engine_basis(decided: Decided, catalog: Catalog) -> Iterator[str]:
    """What a reader must know of the engines behind the chosen deployments, each thing once."""
    chosen = [decided.by_key[key] for key in decided.replicas()]
    for engine in dict.fromkeys(c.deployment.engine for c in chosen):
        yield version_basis(engine, catalog)
    for candidate in chosen:
        yield from load_basis(candidate, catalog)


def version_basis(engine: EngineSpec, catalog: Catalog) -> str:
    """The version and its date, the newest one measured, and the newest one known."""
    text = f"planned and launched as {engine.name} {engine.version} ({engine.as_of})"
    measured = newest_measured(catalog, engine.name)
    if measured is not None:
        on = f" ({measured.measured_on})" if measured.measured_on else ""
        text += f"; newest measured {measured.version}{on}"
    known = [e for e in catalog.engines() if e.name == engine.name]
    newest = max(known, key=lambda e: version_key(e.version))
    if newest.version != engine.version:
        age = (date.fromisoformat(newest.as_of) - date.fromisoformat(engine.as_of)).days
        text += f"; newest known {newest.version} ({age / DAYS_A_MONTH:.0f} months later)"
    return text


def load_basis(candidate: Candidate, catalog: Catalog) -> Iterator[str]:
    """A note where a replica at capacity runs more or fewer requests at once than any measured run."""
    deployment = candidate.deployment
    replicas = candidate.prefill.decode_replicas if candidate.prefill else 1
    slots = replica_limits(deployment, candidate.memory).max_num_seqs
    running = min(candidate.capacity.concurrency / replicas, slots)
    found = measured_concurrency(catalog, deployment.engine.name, deployment.gpu.name)
    if found is None or found.least <= running <= found.most:
        return
    where = f" on {deployment.gpu.name}" if found.on_gpu else ""
    yield (
        f"at capacity {candidate.label} runs {running:,.0f} requests concurrently; {deployment.engine.name}"
        f"{where} was measured at {found.least:g} to {found.most:g}"
    )
