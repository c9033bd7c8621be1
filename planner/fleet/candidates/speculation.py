"""The ways to draft tokens that a search names, with what drafts, how much is accepted and how known.

Acceptance comes, in this order, from the scenario (assumed), from what is published for this model and
method at this many tokens (measured; the median over texts), from another number of tokens of the
same (calibrated), from other models (assumed), from ``catalogs/drafts/priors.csv`` (assumed).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from planner.catalog.drafts import DraftMethod, draft_for, draft_model, has_method, prior
from planner.catalog.engine import EngineSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Draft
from planner.errors import InputError
from planner.evidence import Evidence
from planner.scenario.search.speculation import Speculation
from planner.sizing.precision import weights_for

if TYPE_CHECKING:
    from planner.accuracy.draft_acceptance import AcceptanceRow

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Drafting:
    """A draft, the tokens it drafts per step, and the share of them that is accepted."""

    draft: Draft
    tokens: int
    acceptance: float


@dataclass(frozen=True, slots=True)
class NoDraft:
    """A way to draft that this model or engine does not have, and why."""

    label: str
    detail: str


def draftings(
    choices: tuple[Speculation, ...], model: ModelSpec, engine: EngineSpec, catalog: Catalog
) -> Iterator[Drafting | NoDraft | None]:
    """Every choice in its order: None where nothing drafts, one ``Drafting`` for each number of tokens."""
    for choice in choices:
        if choice.method == "none":
            yield None
        else:
            yield from _of(choice, choice.method, model, engine, catalog)


def _of(
    choice: Speculation,
    method: DraftMethod,
    model: ModelSpec,
    engine: EngineSpec,
    catalog: Catalog,
) -> Iterator[Drafting | NoDraft]:
    label = f"{engine.name} {method}"
    if not has_method(catalog.root, engine, method):
        yield NoDraft(label, f"{engine.name} {engine.version} is not known to draft by {method}")
        return
    if method == "mtp" and not model.mtp:
        yield NoDraft(label, f"{model.name} has no prediction layers to draft with")
        return
    checkpoint = choice.draft or ""
    if method == "eagle3" and not checkpoint:
        checkpoint = draft_for(catalog.root, model, method) or ""
        if not checkpoint:
            detail = f"no EAGLE-3 draft of {model.name} is listed: name one with draft"
            yield NoDraft(label, detail)
            return
    spec = draft_model(catalog, checkpoint) if checkpoint else None
    weights = weights_for(spec, "native", catalog.weight_format) if spec is not None else None
    name = spec.requested_as(checkpoint) if spec is not None else ""
    for tokens in choice.tokens or (prior(catalog.root, method).draft_tokens,):
        share, evidence, source = acceptance(choice, method, model, tokens, catalog)
        yield Drafting(Draft(method, spec, weights, name, evidence, source), tokens, share)


def acceptance(
    choice: Speculation, method: DraftMethod, model: ModelSpec, tokens: int, catalog: Catalog
) -> tuple[float, Evidence, str]:
    """The share of ``tokens`` drafted tokens that is accepted, how it is known and from where."""
    if choice.acceptance is not None:
        return choice.acceptance, Evidence.ASSUMED, "stated by the scenario"
    from planner.accuracy.draft_acceptance import acceptance_of, read_acceptance

    table = read_acceptance(catalog.root / "calibration" / "acceptance.csv")
    rows = [r for r in table if r.method == method]
    if choice.workload:
        rows = _on(choice.workload, rows)
    own = [r for r in rows if _names(r.model, model)]
    if own:
        nearest = min({r.draft_tokens for r in own}, key=lambda k: (abs(k - tokens), k))
        length = _median_at(own, nearest)
        known = f"{length:.2f} tokens a step at {nearest} drafted, published for {model.name}"
        evidence = Evidence.MEASURED if nearest == tokens else Evidence.CALIBRATED
        return acceptance_of(length, nearest), evidence, known
    expected = prior(catalog.root, method)
    if expected.acceptance is not None:
        return expected.acceptance, Evidence.ASSUMED, expected.source
    nearest = min(
        {r.draft_tokens for r in table if r.method == method}, key=lambda k: abs(k - tokens)
    )
    others = [r for r in table if r.method == method and r.draft_tokens == nearest]
    text = f"the median published for {method} of other models at {nearest} drafted"
    return acceptance_of(_median_at(others, nearest), nearest), Evidence.ASSUMED, text


def _on(workload: str, rows: list[AcceptanceRow]) -> list[AcceptanceRow]:
    """The lengths measured on text of that name; raises InputError where there are none."""
    found = [r for r in rows if workload.lower() in r.workload.lower()]
    if not found:
        known = sorted({r.workload.partition(",")[0] for r in rows if r.workload})
        raise InputError(
            "no accepted length is published for that kind of text",
            where="search.speculative.workload",
            found=workload,
            allowed=", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else ""),
            action="leave workload out, or state the acceptance yourself",
        )
    return found


def _median_at(rows: list[AcceptanceRow], tokens: int) -> float:
    return median(r.tokens_per_step for r in rows if r.draft_tokens == tokens)


def _names(published: str, model: ModelSpec) -> bool:
    """Whether a published name is this model's, or that of its other precision.

    Some publish one figure of several models, ``DeepSeek-V3 / R1``.
    """
    names = [_plain(name) for name in (model.name, *(a for a in model.aliases if "/" in a))]
    return any(
        mine == theirs
        or mine.startswith(f"{theirs}-")
        or theirs.startswith(f"{mine}-")
        or mine.endswith(f"-{theirs}")
        for theirs in map(_plain, published.split(" / "))
        for mine in names
    )


def _plain(name: str) -> str:
    return name.rsplit("/", 1)[-1].strip().lower()
