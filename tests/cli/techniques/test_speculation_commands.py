"""Speculative decoding from a scenario file to a verified plan, a report and launch files."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: meta-llama/Llama-3.3-70B-Instruct
rate: 2
prompt_tokens: 1500
output_tokens: 400
slo: {ttft_p95: 2s, tpot_p95: 12ms}
search:
  gpus: [h100-sxm-80gb]
  tensor_parallel: [4]
  weights: [fp8]
  kv_cache: [fp8]
  speculative: SPECULATIVE
allow_lower_precision: true
assurance: none
"""


def solved(folder, speculative, *options):
    scenario, plan = folder / "drafts.yaml", folder / "plan.json"
    scenario.write_text(SCENARIO.replace("SPECULATIVE", speculative))
    call = ["solve", str(scenario), "--format", "json", "-o", str(plan), *options]
    assert main(call) == 0
    return plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drafts")
    return solved(folder, "[none, mtp, eagle3]", "--verify", "none")


def test_the_plan_says_what_drafts_and_how_that_is_known(plan):
    (service,) = json.loads(plan.read_text())["services"]
    (group,) = service["replica_groups"]
    drafts = group["speculation"]
    assert (drafts["method"], drafts["evidence"]) == ("eagle3", "measured")
    assert drafts["checkpoint"] == "yuhuili/EAGLE3-LLaMA3.3-Instruct-70B"
    assert drafts["weights_bytes"] > 0
    assert group["predicted"]["tpot_p95_s" if "tpot_p95_s" in group["predicted"] else "tpot_p99_s"]
    assert service["floors"]["tpot_s"] < group["predicted"]["tpot_p50_s"]


def test_the_plan_holds_when_it_is_computed_again(plan, capsys):
    assert main(["verify", str(plan)]) == 0
    assert "speculation: eagle3 one of none, mtp, eagle3" in capsys.readouterr().out


def test_a_changed_number_of_tokens_is_found(plan, tmp_path, capsys):
    text = json.loads(plan.read_text())
    text["services"][0]["replica_groups"][0]["settings"]["draft_acceptance"] = 0.99
    other = tmp_path / "plan.json"
    other.write_text(json.dumps(text))
    assert main(["verify", str(other), "--failed-only"]) == 2
    assert "fails" in capsys.readouterr().out


def test_report_and_explain_show_it(plan, capsys):
    assert main(["report", str(plan), "--format", "md"]) == 0
    report = capsys.readouterr().out
    assert "Speculative decoding" in report
    assert "published for meta-llama/Llama-3.3-70B-Instruct" in report
    assert main(["explain", str(plan.parent / "drafts.yaml"), "--verify", "none"]) == 0
    assert "eagle3:4" in capsys.readouterr().out


def test_launch_files_draft(plan, tmp_path):
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(tmp_path)]) == 0
    (script,) = tmp_path.glob("serve-*.sh")
    assert '"method":"eagle3"' in script.read_text()


def test_it_is_turned_off_where_it_does_not_pay(tmp_path):
    plan = solved(tmp_path, "[none, {method: ngram, acceptance: 0.01}]", "--verify", "none")
    text = json.loads(plan.read_text())
    (group,) = text["services"][0]["replica_groups"]
    assert "speculation" not in group
    assert any("speculation is off, as it does not pay" in line for line in text["assumptions"])


@pytest.mark.parametrize(
    ("speculative", "said"),
    [
        ("[none, mpt]", "must be 'none', 'mtp', 'eagle3', 'ngram' or 'draft'"),
        ("{draft: nobody/none}", "unknown model"),
        ("[mtp, mtp]", "listed twice"),
        ("{method: draft}", "name the model that drafts"),
        ("{method: mtp, tokens: 20}", "less than or equal to 16"),
    ],
)
def test_what_cannot_be_requested_is_refused(tmp_path, refused, speculative, said):
    scenario = tmp_path / "bad.yaml"
    scenario.write_text(SCENARIO.replace("SPECULATIVE", speculative))
    assert said in refused("solve", str(scenario), "--verify", "none")
