"""Plans written by earlier versions, brought to the schema of today while they are read."""

from __future__ import annotations

from collections.abc import Mapping

OLDEST = 1


def upgraded(document: Mapping[str, object]) -> dict[str, object]:
    """The document of a plan in today's schema; one that is of it already comes back as it is.

    Schema 1 kept its periods in ``details.schedule``, and only where there were several, and what an
    alternative was restricted to in its ``detail``. Plans that say nothing of the price confidences
    they admit took all of them.
    """
    document = _with_confidences(document)
    if document.get("schema_version") != OLDEST:
        return dict(document)
    rest = {k: _alternatives(k, v) for k, v in document.items() if k != "details"}
    details = document.get("details") or {}
    periods = details.get("schedule", []) if isinstance(details, Mapping) else details
    return {**rest, "schema_version": 2, "periods": periods}


def _with_confidences(document: Mapping[str, object]) -> Mapping[str, object]:
    scenario = document.get("scenario")
    if not isinstance(scenario, Mapping):
        return document
    prices = scenario.get("prices")
    if not isinstance(prices, Mapping) or "confidence" in prices:
        return document
    admitting = {**scenario, "prices": {**prices, "confidence": "low"}}
    return {**document, "scenario": admitting}


def _alternatives(part: str, value: object) -> object:
    """Alternatives with their restriction and status in fields of their own."""
    if part == "alternatives" and isinstance(value, list):
        return [_alternative(one) for one in value]
    return _alternative(value) if part == "native_precision" else value


def _alternative(value: object) -> object:
    if not isinstance(value, Mapping) or not isinstance(value.get("detail", {}), Mapping):
        return value
    known = {k: v for k, v in value.get("detail", {}).items() if k in ("restricted_to", "status")}
    return {**{k: v for k, v in value.items() if k != "detail"}, **known}
