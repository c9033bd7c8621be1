"""Which checkpoint the launch files load."""

from planner.cli.main import main
from planner.plan.replica_group import QUANTISE_YOURSELF
from planner.plan.schema import read_plan
from planner.reporting.plan.plan_document import headline


def test_a_fine_tune_is_launched_under_its_own_name(tmp_path, catalog):
    requested = "Qwen/Qwen2.5-Coder-7B-Instruct"
    assert catalog.model(requested).name != requested
    scenario = tmp_path / "coder.yaml"
    scenario.write_text(
        f"model: {requested}\nrate: 2\nprompt_tokens: 500\noutput_tokens: 50\nslo: {{ttft_p95: 1s}}\n"
        "search: {gpus: [l40s], tensor_parallel: [1]}\n"
    )
    plan, out = tmp_path / "plan.json", tmp_path / "launch"
    solved = main(["solve", str(scenario), "--verify", "none", "--format", "json", "-o", str(plan)])
    assert solved == 0
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(out)]) == 0
    scripts = "".join(path.read_text() for path in out.glob("*.sh"))
    assert f"exec vllm serve {requested}" in scripts
    assert f"--served-model-name {requested}" in scripts


def launched(tmp_path, model, weights):
    scenario, plan, out = tmp_path / "s.yaml", tmp_path / "plan.json", tmp_path / "launch"
    scenario.write_text(
        f"model: {model}\nrate: 2\nprompt_tokens: 500\noutput_tokens: 50\nslo: {{ttft_p95: 2s}}\n"
        f"search: {{gpus: [h100], weights: [{weights}], kv_cache: [bf16]}}\n"
        "allow_lower_precision: true\n"
    )
    assert (
        main(["solve", str(scenario), "--verify", "none", "--format", "json", "-o", str(plan)]) == 0
    )
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(out)]) == 0
    return read_plan(plan), "".join(path.read_text() for path in out.iterdir() if path.is_file())


def test_a_public_checkpoint_in_the_plans_format_is_loaded(tmp_path):
    plan, files = launched(tmp_path, "Qwen/Qwen3-32B", "int4")
    (group,) = plan.services[0].replica_groups
    assert group.checkpoint == "Qwen/Qwen3-32B-AWQ"
    assert "exec vllm serve Qwen/Qwen3-32B-AWQ" in files
    assert QUANTISE_YOURSELF not in group.label + headline(plan) + files


def test_weights_without_a_public_checkpoint_are_to_quantise_yourself(tmp_path):
    plan, files = launched(tmp_path, "google/gemma-2-9b", "int4")
    (group,) = plan.services[0].replica_groups
    assert group.checkpoint is None
    assert QUANTISE_YOURSELF in group.label
    assert QUANTISE_YOURSELF in headline(plan)
    assert f"# No public int4 checkpoint of it is known: {QUANTISE_YOURSELF}." in files


def test_fp8_needs_no_other_checkpoint(tmp_path):
    plan, files = launched(tmp_path, "google/gemma-2-9b", "fp8")
    (group,) = plan.services[0].replica_groups
    assert (group.checkpoint, group.quantise_yourself) == (None, False)
    assert "exec vllm serve google/gemma-2-9b" in files
    assert "--quantization fp8" in files
