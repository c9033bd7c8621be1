"""A model described in the scenario is solved, and its plan re-checked, like any other."""

import pytest

from planner.api import solve
from planner.errors import InputError

SCENARIO = """
name: inline-model
model: {layers: 32, hidden: 4096, heads: 32, kv_heads: 8, intermediate: 14336, vocab: 128256}
rate: 5
prompt_tokens: 1000
output_tokens: 200
slo: {ttft_p99: 3s, tpot_p99: 100ms}
search: {gpus: [h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


def test_a_plan_for_an_inline_model(tmp_path):
    path = tmp_path / "inline.yaml"
    path.write_text(SCENARIO)
    plan = solve(path)
    (service,) = plan.services
    (group,) = service.replica_groups
    assert service.model == "inline"
    weights_gb = group.memory["weights_bytes"] / 1e9
    assert weights_gb == pytest.approx(2 * 8.03, rel=0.005)


def test_a_mistake_in_an_inline_model_is_reported(tmp_path):
    path = tmp_path / "inline.yaml"
    path.write_text(SCENARIO.replace("kv_heads: 8", "kv_head: 8"))
    with pytest.raises(InputError, match="kv_heads"):
        solve(path)
