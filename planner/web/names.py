"""What the page needs before any question: names to complete, shipped scenarios, versions."""

from __future__ import annotations

from planner.catalog.offer import Term
from planner.catalog.store import Catalog
from planner.comparison.restriction import CHOICES
from planner.comparison.sweeps import AXES, PRICE_FACTOR
from planner.deploy.launch_target import TARGETS
from planner.findings.ownership_terms import ITEMS
from planner.scenario.reader import shipped_scenarios
from planner.session import Session
from planner.version import package_version
from planner.web.limits import ServerLimits
from planner.web.problems import Json


def about(session: Session, limits: ServerLimits) -> Json:
    """Versions and digests behind every answer of this server, and what it grants."""
    return {
        "version": package_version(),
        "catalog_digest": session.catalog.digest(),
        "limits": {
            "body_bytes": limits.body_bytes,
            "file_bytes": limits.file_bytes,
            "files": limits.files,
            "request_s": limits.request_s,
            "points": limits.points,
        },
    }


def names(catalog: Catalog) -> Json:
    """Every name a scenario may use, by field; figures of owning, which the form shows as what holds."""
    offers = catalog.offers()
    formats = catalog.formats()
    offered = {o.gpu for o in offers}
    return {
        "models": sorted(catalog.model_names()),
        "gpus": [g.name for g in catalog.gpus()],
        "offered_gpus": sorted(offered),
        "engines": list(dict.fromkeys(e.name for e in catalog.engines())),
        "weights": ["native", *(f.name for f in formats if f.kind == "weights")],
        "kv_cache": [f.name for f in formats if f.kind == "kv"],
        "terms": [t.value for t in Term],
        "providers": sorted({o.provider for o in offers}),
        "regions": sorted({o.region for o in offers}),
        "sweep_axes": [*AXES, PRICE_FACTOR],
        "compare_axes": list(CHOICES),
        "launch_targets": list(TARGETS),
        "servers": [row.name for row in catalog.servers()],
        "ownership": _ownership(catalog),
    }


def _ownership(catalog: Catalog) -> Json:
    """What owning is counted with where a scenario says nothing, by its keys of ``ownership``."""
    rows = {row.item: row for row in catalog.ownership()}
    known = ((key, rows[item]) for key, item in ITEMS.items() if item in rows)
    return {key: {"low": row.low, "mid": row.value, "high": row.high} for key, row in known}


def presets() -> list[Json]:
    """The shipped scenarios: name, the first comment as a title, and the text."""
    return [
        {"name": name, "title": _title(text), "scenario": text}
        for name, path in shipped_scenarios().items()
        for text in (path.read_text(encoding="utf-8"),)
    ]


def _title(text: str) -> str:
    first = text.partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
