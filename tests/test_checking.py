import yaml

from planner import api, checking

SCENARIO = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 4
prompt_tokens: 300
output_tokens: 50
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


def test_what_holds_at_no_rate_is_given_up_and_the_next_is_tried(tmp_path, monkeypatch, catalog):
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    monkeypatch.setattr(checking, "held_share", lambda *_args, **_more: 0.0)
    plan = api.solve(path, catalogs=catalog, rivals=0)
    played = [r.deployment for r in plan.verification.rounds]
    assert len(played) == len(set(played)) == 2
    assert all(not r.holds for r in plan.verification.rounds)
    assert plan.totals.gpus < 10
    assert any("no fleet was confirmed" in w for w in plan.warnings)


def test_the_percentiles_of_a_mix_may_beat_the_floor_of_its_slowest_kind(tmp_path, catalog):
    asked = yaml.safe_load(SCENARIO) | {
        "rate": 20,
        "max_deployments": 2,
        "search": {
            "gpus": ["l4", "l40s"],
            "tensor_parallel": [1],
            "weights": ["bf16"],
            "kv_cache": ["bf16"],
        },
        "limits": {"stock": {"l40s": 1, "l4": 2}},
        "slo": {"ttft_p99": "4s", "tpot_p99": "150ms"},
        "output_tokens": 250,
    }
    path = tmp_path / "mixed.yaml"
    path.write_text(yaml.safe_dump(asked))
    plan = api.solve(path, catalogs=catalog, rivals=0, explain=False)
    assert {g.gpu for s in plan.services for g in s.replica_groups} == {"l4", "l40s"}
    assert plan.verification.rounds
