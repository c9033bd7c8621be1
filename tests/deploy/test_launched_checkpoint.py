"""Which checkpoint the launch files load."""

from planner.cli.main import main


def test_a_fine_tune_is_launched_under_its_own_name(tmp_path, catalog):
    asked = "Qwen/Qwen2.5-Coder-7B-Instruct"
    assert catalog.model(asked).name != asked
    scenario = tmp_path / "coder.yaml"
    scenario.write_text(
        f"model: {asked}\nrate: 2\nprompt_tokens: 500\noutput_tokens: 50\nslo: {{ttft_p95: 1s}}\n"
        "search: {gpus: [l40s], tensor_parallel: [1]}\n"
    )
    plan, out = tmp_path / "plan.json", tmp_path / "launch"
    solved = main(["solve", str(scenario), "--verify", "none", "--format", "json", "-o", str(plan)])
    assert solved == 0
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(out)]) == 0
    scripts = "".join(path.read_text() for path in out.glob("*.sh"))
    assert f"exec vllm serve {asked}" in scripts
    assert f"--served-model-name {asked}" in scripts
