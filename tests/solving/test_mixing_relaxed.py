"""One kind of replica a service, the default, is named where two kinds would keep the budget."""

from __future__ import annotations

import json
from pathlib import Path

from planner.cli.main import main

SCENARIO = """\
model: Qwen/Qwen3-32B
rate: 20
prompt_tokens: 1000
output_tokens: 400
slo: {ttft_p99: 2s, tpot_p99: 60ms}
allow_lower_precision: true
search: {gpus: [h100-sxm-80gb, h200-sxm-141gb], weights: [fp8], kv_cache: [bf16], tensor_parallel: [1]}
limits: {max_cost_usd_per_hour: 15}
"""


def test_mixing_is_among_the_ways_out_where_it_decides(tmp_path: Path) -> None:
    scenario, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    scenario.write_text(SCENARIO)
    words = ["--no-cache", "--verify", "none", "--format", "json", "-o", str(plan)]
    assert main(["solve", str(scenario), *words]) == 3
    infeasibility = json.loads(plan.read_text())["infeasibility"]
    assert "max_deployments: 1" in infeasibility["conflict"]
    ways = {r["requirement"]: r for r in infeasibility["relaxations"]}
    assert ways["max_deployments"]["relaxed"] == "2"

    scenario.write_text(SCENARIO + "max_deployments: 2\n")
    assert main(["solve", str(scenario), *words]) == 0
    cost = json.loads(plan.read_text())["totals"]["usd_per_hour"]
    assert ways["max_deployments"]["usd_per_hour"] == cost
    assert cost < 15
