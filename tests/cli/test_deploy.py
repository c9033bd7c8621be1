"""``planner deploy`` through its real entry point: what it writes, and how it refuses."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import plan_builder
import pytest
from launch_plans import fleet, group, service

from planner.cli.main import main


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(fleet(service("chat", (group(weights="fp8"),))).to_json())
    return path


def deploy(*words):
    return main(["deploy", *map(str, words)])


def test_scripts_are_written_and_can_run(plan_file, tmp_path, capsys):
    folder = tmp_path / "launch" / "here"
    assert deploy(plan_file, "--target", "vllm", "-o", folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/{name}" for name in ("README.md", "fleet.yaml", "serve-chat.sh")
    ]
    assert (folder / "serve-chat.sh").stat().st_mode & stat.S_IXUSR
    assert sorted(p.name for p in folder.parent.iterdir()) == ["here"]
    assert "vllm serve" in (folder / "serve-chat.sh").read_text()


@pytest.mark.parametrize("target", ["docker-compose", "kubernetes", "llm-d"])
def test_the_other_targets_follow_the_plans_engine(target, plan_file, tmp_path):
    assert deploy(plan_file, "--target", target, "-o", tmp_path / "out") == 0
    assert "vllm 0.19.0" in (tmp_path / "out" / "README.md").read_text()


def test_the_whole_path_from_a_scenario(tmp_path):
    plan = tmp_path / "plan.json"
    run = [sys.executable, "-m", "planner"]
    solve = ["solve", "chat_8b_small_gpus", "--verify", "none", "--format", "json", "-o", plan]
    subprocess.run([*run, *solve], check=True, capture_output=True)
    done = subprocess.run(
        [*run, "deploy", plan, "--target", "kubernetes", "-o", tmp_path / "out"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "kustomization.yaml" in done.stdout


REFUSALS = {
    "not JSON": ("nonsense", "not a JSON file"),
    "not a plan": ("{}", "not a plan"),
    "another version": ('{"schema_version": 99}', "another version"),
    "half a plan": ('{"schema_version": 2, "status": "optimal"}', "Field required"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_a_plan_is_refused(case, tmp_path, capsys):
    text, stated = REFUSALS[case]
    path = tmp_path / "plan.json"
    path.write_text(text)
    assert deploy(path, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert stated in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_plan_is_refused(tmp_path, capsys):
    assert deploy(tmp_path / "none.json", "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "cannot read the plan" in capsys.readouterr().err


def test_an_infeasible_plan_has_nothing_to_deploy(tmp_path, capsys):
    path = tmp_path / "plan.json"
    path.write_text(plan_builder.infeasible_plan().to_json())
    assert deploy(path, "--target", "kubernetes", "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "nothing to deploy" in error
    assert "no deployment holds TTFT p99" in error
    assert not (tmp_path / "out").exists()


def test_an_unknown_target_names_the_known_ones(plan_file, tmp_path, capsys):
    assert deploy(plan_file, "--target", "nomad", "-o", tmp_path / "out") == 2
    assert "'llm-d'" in capsys.readouterr().err


def test_another_engine_than_the_plans_is_refused(plan_file, tmp_path, capsys):
    assert deploy(plan_file, "--target", "sglang", "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "with vllm, not sglang" in error
    assert "engines: [sglang]" in error


def test_existing_files_are_kept_unless_forced(plan_file, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "fleet.yaml").write_text("mine")
    (out / "other.txt").write_text("mine too")
    assert deploy(plan_file, "--target", "vllm", "-o", out) == 2
    assert "--force" in capsys.readouterr().err
    assert sorted(p.name for p in out.iterdir()) == ["fleet.yaml", "other.txt"]
    assert (out / "fleet.yaml").read_text() == "mine"
    assert deploy(plan_file, "--target", "vllm", "-o", out, "--force") == 0
    assert (out / "fleet.yaml").read_text() != "mine"
    assert (out / "other.txt").read_text() == "mine too"
    assert len(list(out.iterdir())) == 4


def test_a_file_is_no_folder(plan_file, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert deploy(plan_file, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "the output path is a file" in capsys.readouterr().err
    assert deploy(plan_file, "--target", "vllm", "-o", tmp_path / "out" / "below") == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(plan_file, tmp_path, capsys, monkeypatch):
    from pathlib import Path

    written = Path.write_text

    def full(self, text, **options):
        if self.name == "serve-chat.sh":
            raise OSError(28, "No space left on device")
        return written(self, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    assert deploy(plan_file, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_read_only_place_is_refused(plan_file, tmp_path, capsys):
    place = tmp_path / "locked"
    place.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write there
        place = Path("/proc")
    assert deploy(plan_file, "--target", "vllm", "-o", place / "out") == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (["--checkpoint", "chat"], "needs NAME=VALUE"),
        (["--checkpoint", "caht=me/model"], "did you mean 'chat'"),
        (["--checkpoint", "chat=a", "--checkpoint", "chat=b"], "given twice"),
        (["--image", "vlm=x:1"], "unknown engine"),
        (["--image", "vllm=x:latest"], "not pinned"),
        (["--burst", "0.5"], "0.5 is not in the range"),
        (["--prometheus", "prometheus:9090"], "not the address"),
        (["--timezone", "Europe/Pariss"], "did you mean 'Europe/Paris'"),
        (["--timezone", "../../etc/passwd"], "unknown time zone"),
        (["--node-label", "l4=a=b"], "no such GPU"),
        (["--node-label", "h100-sxm-80gb=a"], "not a node label"),
        (["--node-label", "h100-sxm-80gb=a=b c"], "not a node label"),
        (["--node-label", "h100-sxm-80gb=a=b\n"], "not a node label"),
    ],
)
def test_wrong_choices_are_reported(words, stated, plan_file, tmp_path, capsys):
    assert deploy(plan_file, "--target", "kubernetes", "-o", tmp_path / "out", *words) == 2
    assert stated in capsys.readouterr().err


def test_a_plan_of_unknown_hardware_names_what_is_wrong(plan_file, tmp_path, capsys):
    data = json.loads(plan_file.read_text())
    data["services"][0]["replica_groups"][0]["gpu"] = "h1000"
    plan_file.write_text(json.dumps(data))
    assert deploy(plan_file, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "unknown GPU" in capsys.readouterr().err


def test_replicas_that_share_a_gpu_without_a_part_of_it_are_refused(tmp_path, capsys):
    small = group(replicas=2, tensor_parallel=1)
    node = plan_builder.node(gpus_per_node=1, count=1)
    plan = fleet(service("a", (small,)), nodes=(node,), sharing={"gpu": [0.5]})
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert deploy(path, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "2 GPUs used of 1 x h100-sxm-80gb" in capsys.readouterr().err


def test_a_described_model_needs_a_checkpoint(tmp_path, capsys):
    shape = {"name": "mine", "layers": 16, "hidden": 2048, "heads": 32, "vocab": 32000}
    shape |= {"intermediate": 8192, "max_context": 8192}
    path = tmp_path / "plan.json"
    layout = group(weights="bf16", tensor_parallel=1)
    path.write_text(fleet(service("a", (layout,), shape)).to_json())
    assert deploy(path, "--target", "vllm", "-o", tmp_path / "out") == 2
    assert "--checkpoint a=REPOSITORY" in capsys.readouterr().err
    words = ["--checkpoint", "a=me/mine"]
    assert deploy(path, "--target", "vllm", "-o", tmp_path / "out", *words) == 0


def test_nodes_may_be_labelled_otherwise(plan_file, tmp_path):
    label = "h100-sxm-80gb=cloud.google.com/gke-accelerator=nvidia-h100-80gb"
    words = ["--target", "kubernetes", "-o", tmp_path / "out", "--node-label", label]
    assert deploy(plan_file, *words) == 0
    text = (tmp_path / "out" / "chat.group.yaml").read_text()
    assert "cloud.google.com/gke-accelerator: nvidia-h100-80gb" in text
    assert "nvidia.com/gpu.product" not in text


@pytest.mark.slow
def test_the_commands_of_the_guide_run(repository, tmp_path, monkeypatch, simulated_main_plan):
    guide = (repository / "docs" / "guides" / "deploy.md").read_text(encoding="utf-8")
    commands = guide.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()
    assert commands[0] == "planner solve llama70b_qps50 --format json -o plan.json"
    (tmp_path / "plan.json").write_bytes(simulated_main_plan.read_bytes())
    monkeypatch.chdir(tmp_path)
    (rest,) = commands[1:]
    assert main(rest.split()[1:]) == 0
    assert (tmp_path / "manifests" / "kustomization.yaml").is_file()
