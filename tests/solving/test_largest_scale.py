"""How far above its planned rate a simulated fleet is tried, and in how many simulations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from planner.solving import largest_scale as module
from planner.solving.largest_scale import LARGE_FLEET, largest_scale


def tried(monkeypatch, replicas, enough, looks=None, too_few=None):
    """The scale found where ``enough`` replicas hold and ``looks`` look well, and the full simulations."""
    looks = enough if looks is None else looks
    full = []

    def simulated(*_args, rate_scale, **_rest):
        full.append(round(replicas / rate_scale))
        return SimpleNamespace(holds=full[-1] >= enough)

    monkeypatch.setattr(module, "keeps_up", lambda *_: True)
    monkeypatch.setattr(
        module, "looks_well", lambda _s, _e, _c, more: round(replicas / more) >= looks
    )
    monkeypatch.setattr(module, "simulate_assured", simulated)
    stream = SimpleNamespace(replicas=replicas, placed={}, service=None, lengths=None)
    replayed = SimpleNamespace(stream=stream, check=SimpleNamespace(window=None))
    known = {} if too_few is None else too_few
    near = SimpleNamespace(effort=SimpleNamespace(seed=0), simulate=None, too_few=known)
    return largest_scale(replayed, near), full


def test_a_small_fleet_is_tried_step_by_step(monkeypatch):
    scale, full = tried(monkeypatch, 20, 15)
    assert full == [19, 18, 16]
    assert scale == pytest.approx(20 / 16)
    scale, full = tried(monkeypatch, LARGE_FLEET, 1)
    assert full == [63, 62, 60, 56]
    assert scale == pytest.approx(64 / 56)


def test_a_large_fleet_is_simulated_once_where_it_looks_well(monkeypatch):
    scale, full = tried(monkeypatch, 316, 117)
    assert len(full) == 1
    assert 117 <= full[0] <= 117 + 199 // 8
    assert scale == pytest.approx(316 / full[0])


def test_what_only_looked_well_is_halved_towards_what_holds(monkeypatch):
    scale, full = tried(monkeypatch, 316, 300, looks=117)
    assert 300 <= 316 / scale <= 302
    assert len(full) <= 8
    assert tried(monkeypatch, 100, 100, looks=100) == (1.0, [])
    assert tried(monkeypatch, 100, 100, looks=60)[0] == 1.0


@pytest.mark.parametrize(("first", "enough"), [(316, 117), (1000, 120), (90, 89), (200, 64)])
def test_few_rounds_come_to_an_end(monkeypatch, first, enough):
    """Each round begins with what the last one held."""
    replicas, rounds = first, 0
    while True:
        scale, _ = tried(monkeypatch, replicas, enough)
        rounds += 1
        if scale == 1.0:
            break
        replicas = round(replicas / scale)
    assert rounds <= 6
    assert replicas == enough


def test_what_was_too_few_is_not_tried_again(monkeypatch):
    known = {}
    first, full = tried(monkeypatch, 316, 300, looks=117, too_few=known)
    replicas = round(316 / first)
    assert known[()] == max(n for n in full if n < 300)
    _, again = tried(monkeypatch, replicas, 300, looks=117, too_few=known)
    assert len(again) <= 2
    assert min(again, default=300) > known[()] - 1
    assert tried(monkeypatch, 300, 300, looks=117, too_few={(): 299}) == (1.0, [])
