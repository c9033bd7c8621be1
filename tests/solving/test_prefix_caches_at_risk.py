"""Prefix caches that a little more load would cost: what a plan says, and how long that is simulated."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from planner.assembly.conversations import caches_at_risk
from planner.plan.prefix_hits import MORE_REQUESTS, PrefixCase, PrefixHits
from planner.serving.simulation.service_simulation import check_service
from planner.serving.simulation.window import Window
from planner.solving import prefix_hits
from planner.solving.prefix_hits import MORE, MOST_CASE_REQUESTS


def hits(share, holds, planned=0.87):
    case = PrefixCase(changed=MORE_REQUESTS, share=share, holds=holds)
    return PrefixHits(share=planned, possible=0.94, method="simulated", cases=(case,))


@pytest.mark.parametrize(
    ("share", "holds", "warns"),
    [(0.22, False, True), (0.22, None, True), (0.22, True, False), (0.80, False, False)],
)
def test_a_fleet_that_would_lose_its_caches_is_warned_of(share, holds, warns):
    solved = SimpleNamespace(prefix_hits={"agents": hits(share, holds)})
    found = list(caches_at_risk(solved))
    assert len(found) == warns
    if warns:
        assert "agents is so near its capacity that 20 % more requests" in found[0]
        assert "22 % of the prompt tokens are found there in place of 87 %" in found[0]
        assert ("targets are missed" in found[0]) is (holds is False)


def test_nothing_is_said_without_that_case():
    assert hits(0.2, False).model_copy(update={"cases": ()}).lost is None


def test_a_window_keeps_its_proportions():
    window = Window(warm_up_s=100, measured_s=300, tail_s=100, slice_share=0.5)
    assert window.shortened(500) == window
    assert window.shortened(50) == Window(10, 30, 10, 0.5)


def test_every_case_simulates_a_bounded_number_of_requests(monkeypatch):
    """Double the think time makes the fleet of this scenario lose its caches, and never catch up."""
    from planner.api import solve

    simulated = []
    hits_of = prefix_hits.prefix_hits_of

    def counted(service, placed, *, window, **rest):
        rate = sum(p.rate_qps for p in placed)
        simulated.append((rate, rate * window.slice_share * window.total_s))
        return check_service(service, placed, window=replace(window, measured_s=1.0), **rest)

    monkeypatch.setattr(
        prefix_hits, "prefix_hits_of", lambda fleet, seed, _kept: hits_of(fleet, seed, counted)
    )
    plan = solve("agents_coding_70b", rivals=0)
    assert max(requests for _, requests in simulated) <= MOST_CASE_REQUESTS * (1 + 1e-9)
    rates = [rate for rate, _ in simulated]
    assert max(rates) == pytest.approx(MORE * min(rates))
    assert [c.changed for c in plan.services[0].prefix_hits.cases][2] == MORE_REQUESTS
