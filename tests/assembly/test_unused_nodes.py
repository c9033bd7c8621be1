"""No node is rented that runs nothing, and the services pay for all that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import Catalog
from planner.performance.factors import load_calibration
from planner.scenario.reader import read_scenario
from planner.session import Session
from planner.solving.options import SolveOptions
from planner.verification.check import Verdict
from planner.verification.verify import verify

PRICES = """provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,tier
a,x,fast,h100-sxm-80gb,1,spot,1.0,2026-11-01,quote,cloud
a,x,fast,h100-sxm-80gb,1,on-demand,10.0,2026-11-01,quote,cloud
b,x,slow,rtx-a5000,1,on-demand,1.5,2026-11-01,quote,cloud
"""
SCENARIO = """model: meta-llama/Meta-Llama-3-8B-Instruct
rate: 40
prompt_tokens: 1000
output_tokens: 300
slo: {ttft_p99: 2s, tpot_p99: 40ms}
prices: {file: prices.csv, terms: [on-demand, spot]}
spot: {max_share: 0.5, pools_lost: 0}
"""


def test_idle_nodes_of_another_type_make_room_for_no_spot(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    (tmp_path / "half_spot.yaml").write_text(SCENARIO)
    session = Session.open(options=SolveOptions(verify="none", rivals=0))
    plan = session.solve(read_scenario(tmp_path / "half_spot.yaml", session.catalog), base=tmp_path)
    assert plan.totals is not None
    assert {n.gpu for n in plan.nodes} == {"h100-sxm-80gb"}
    assert {(n.term, n.count) for n in plan.nodes} == {("spot", 1), ("on-demand", 2)}
    assert {g.gpu for s in plan.services for g in s.replica_groups} == {"h100-sxm-80gb"}
    paid = sum(s.usd_per_hour for s in plan.services)
    assert paid == pytest.approx(plan.totals.usd_per_hour)
    offers = catalog.read_prices(tmp_path / "prices.csv")
    checks = verify(plan, catalog, load_calibration(catalog), offers, tmp_path)
    assert [c for c in checks if c.verdict is Verdict.FAILS] == []
