"""What providers rent out: machines, unless a row says otherwise."""

import pytest

from planner.catalog.hosting import hosting_rows, rents


@pytest.mark.parametrize(
    ("provider", "tier", "kind"),
    [
        ("aws", "hyperscaler", "machines"),
        ("runpod", "cloud", "containers"),
        ("runpod", "marketplace", "containers"),
        ("sfcompute", "marketplace", "unknown"),
        ("acme", "", "machines"),
    ],
)
def test_a_provider_rents_what_its_row_says(provider, tier, kind, catalog):
    assert rents(catalog.root, provider, tier) == kind


def test_every_provider_of_a_row_has_offers(catalog):
    known = {offer.provider for offer in catalog.offers()}
    assert {row.provider for row in hosting_rows(catalog.root) if row.provider} <= known
