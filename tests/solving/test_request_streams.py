"""A split service is simulated kind by kind, each with the mix of lengths routed to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner import api
from planner.catalog.store import Catalog
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.fleet.sources import Sources
from planner.performance.factors import load_calibration
from planner.scenario.reader import read_scenario
from planner.solving import assured_simulation
from planner.solving import simulation_loop as checking
from planner.solving.build_problem import decide
from planner.solving.options import SolveOptions
from planner.solving.pipeline import solve_scenario
from planner.solving.request_streams import streams_of

SPLIT = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 6
assurance: none
prompt_tokens: {mean: 2000, cv: 1.5}
output_tokens: 60
slo: {ttft_p99: 4s, tpot_p99: 120ms}
search: {gpus: [l4, l40s], weights: [fp8], kv_cache: [fp8], tensor_parallel: [1]}
allow_lower_precision: true
buckets: {prompt_tokens: [1000, 4000]}
max_deployments: 2
limits: {stock: {l40s: 2}}
"""


@pytest.fixture
def requested(tmp_path: Path) -> Path:
    path = tmp_path / "split.yaml"
    path.write_text(SPLIT)
    return path


def test_every_kind_is_simulated_with_what_is_routed_to_it(
    requested: Path, catalog: Catalog
) -> None:
    decided = solve_scenario(
        read_scenario(requested, catalog),
        Sources(catalog, load_calibration(catalog)),
        SolveOptions(verify="none", rivals=0, explain=False),
    ).decided
    streams = streams_of(decided)
    assert [set(s.placed) for s in streams] == [{k} for k in decided.replicas()]
    assert len(streams) == 2
    assert sum(p.rate_qps for s in streams for p in s.placed.values()) == pytest.approx(6.0)
    short, long = sorted(streams, key=lambda s: s.lengths.mean_prompt)
    assert short.lengths.mean_prompt < 2000 < long.lengths.mean_prompt
    for stream in streams:
        for key, load in stream.load.items():
            assert 0 < load <= stream.placed[key].replicas + 1e-6


def test_the_mix_is_simulated_and_reported(requested: Path, catalog: Catalog) -> None:
    plan = api.solve(requested, catalogs=catalog, rivals=0, explain=False)
    assert plan.status == "optimal"
    assert plan.verification.rounds
    assert all("mix of lengths" in r.note for r in plan.verification.rounds)
    assert any(r.holds for r in plan.verification.rounds)
    groups = [g for s in plan.services for g in s.replica_groups]
    assert {g.predicted.method for g in groups} == {"simulated"}


def test_a_mix_that_misses_lowers_every_bucket_of_its_kind(
    requested: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[Problem] = []

    def seen(
        problem: Problem, effort: SolveOptions, *, proved: ProvedSolutions | None = None
    ) -> Solution:
        decided.append(problem)
        return decide(problem, effort, proved=proved)

    monkeypatch.setattr(checking, "MAX_ROUNDS", 1)
    monkeypatch.setattr(assured_simulation, "held_share", lambda *_args, **_more: 0.5)
    monkeypatch.setattr(checking, "decide", seen)
    before = solve_scenario(
        read_scenario(requested, catalog),
        Sources(catalog, load_calibration(catalog)),
        SolveOptions(verify="none", rivals=0, explain=False),
    ).decided
    api.solve(requested, catalogs=catalog, rivals=0, explain=False)
    was = {k.key: k.capacity_qps for k in before.problem.kinds}
    now = {k.key: k.capacity_qps for k in decided[0].kinds}
    for key in before.replicas():
        ratios = [now[key][b] / c for b, c in was[key].items()]
        assert max(ratios) == pytest.approx(min(ratios))
        assert 0 < max(ratios) <= 0.5 * checking.MARGIN + 1e-9
    assert all(now[k] == was[k] for k in was if k not in before.replicas())
