"""``planner memory`` through click, and once through the real entry point."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_files import LLAMA_8B as LLAMA
from click.testing import CliRunner, Result

from planner.cli.main import cli, main

LOGS = Path(__file__).parents[1] / "sizing" / "logs"


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["memory", *args], standalone_mode=False)


def as_json(*args: str) -> dict[str, Any]:
    result = run(*args, "--format", "json")
    assert result.exception is None, result.exception
    return json.loads(result.output)


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run through ``main`` as a person would; one message, exit code 2, no traceback."""
    assert main(["memory", *args]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def config(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**LLAMA, **changes}), encoding="utf-8")
    return str(path)


def test_json_of_a_model() -> None:
    stated = as_json("--model", "Qwen/Qwen3-8B")
    assert stated["model"] == "Qwen/Qwen3-8B"
    assert stated["architecture"] == "Qwen3ForCausalLM"
    assert stated["parameters"] == {
        "total": 8_190_735_360,
        "active": 8_190_735_360,
        "mtp": 0,
        "vision": 0,
    }
    assert stated["kv_bytes_per_token"]["bf16"] == 147_456
    assert stated["kv_bytes_per_token"]["fp8"] == 73_728
    assert stated["memory"]["weights_bytes"] == 2 * 8_190_735_360


def test_json_on_a_gpu_is_a_partition() -> None:
    stated = as_json("--model", "Qwen/Qwen3-32B", "--gpu", "h100", "--tp", "2", "--weights", "fp8",
                   "--context", "8192", "--concurrency", "32")["memory"]  # fmt: skip
    parts = ("weights", "kv_pool", "activations", "cuda_graphs", "context", "adapters")
    total = sum(stated[f"{part}_bytes"] for part in parts) + stated["outside_budget_bytes"]
    assert total == pytest.approx(stated["total_bytes"])
    assert stated["holds"] is True
    assert stated["max_sequences"] >= 32
    assert stated["free_bytes"] == stated["kv_pool_bytes"] - stated["kv_needed_bytes"]


def test_a_config_file_and_its_folder(tmp_path: Path) -> None:
    path = config(tmp_path)
    by_file = as_json("--model", path)
    assert by_file["parameters"]["total"] == 8_030_261_248
    assert as_json("--model", str(tmp_path))["parameters"] == by_file["parameters"]


def test_what_does_not_fit_exits_with_three() -> None:
    assert main(["memory", "--model", "Qwen/Qwen3-32B", "--gpu", "rtx-4090"]) == 3
    assert main(["memory", "--model", "Qwen/Qwen3-8B", "--gpu", "h100"]) == 0


@pytest.mark.parametrize("width", ["80", "140"])
@pytest.mark.parametrize(
    "args",
    [
        ("--model", "Qwen/Qwen3-30B-A3B", "--gpu", "h100", "--tp", "2"),
        ("--check", str(LOGS / "vllm_0.10.2_qwen3_30b.log")),
        ("fits", "--model", "Qwen/Qwen3-8B"),
        ("fits", "--gpu", "l4"),
        ("training", "--model", "Qwen/Qwen3-8B", "--method", "lora"),
        ("rule-of-thumb", "--params", "7e9", "--layers", "32", "--hidden", "4096"),
        ("nanochat", "--depth", "20"),
        ("measured-vs-theory", "--model", "Qwen/Qwen3-8B", "--measured-gib", "15.3"),
    ],
)
def test_tables_stay_within_the_terminal(
    args: tuple[str, ...], width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = run(*args)
    assert result.exception is None, result.exception
    assert all(len(line) <= int(width) for line in result.output.splitlines())


def test_fits_covers_every_gpu_count_and_precision() -> None:
    stated = as_json("fits", "--model", "Qwen/Qwen3-8B")
    rows = stated["fits"]
    assert {row["gpus"] for row in rows} == set(range(1, 9))
    assert {row["precision"] for row in rows} == {"bf16", "fp8", "int4"}
    assert {"h100-sxm-80gb", "l4", "rtx-4090"} <= {row["gpu"] for row in rows}
    assert {row["verdict"] for row in rows} == {"fits", "tight", "not"}
    for row in rows:
        assert (row["tokens_left"] > 0) == (row["verdict"] != "not")
        assert (row["sequences_left"] >= stated["concurrency"]) == (row["verdict"] == "fits")
        assert bool(row["reason"]) == (row["verdict"] == "not")


def test_fits_by_gpu_lists_models() -> None:
    rows = as_json("fits", "--gpu", "l4")["fits"]
    verdicts = {(row["model"], row["precision"]): row["verdict"] for row in rows}
    assert verdicts["Qwen/Qwen3-8B", "fp8"] == "fits"
    assert verdicts["Qwen/Qwen3-32B", "bf16"] == "not"


def test_rule_of_thumb_is_beside_the_exact_answer() -> None:
    stated = as_json("rule-of-thumb", "--model", "Qwen/Qwen3-8B", "--gpu-gb", "24")
    assert stated["kv_gb"] == pytest.approx(4 * stated["exact"]["kv_gb"])
    assert "4.0 times" in stated["notes"][0]
    assert stated["decision_tree"][0]["holds"] is True
    assert any("437,000" in note for note in stated["notes"])
    plain = as_json("rule-of-thumb", "--params", "7e9", "--bytes", "2", "--layers", "32",
                    "--hidden", "4096", "--seq", "2048", "--batch", "1")  # fmt: skip
    assert round(plain["total_gb"], 2) == 18.09
    assert plain["exact"] is None
    assert plain["cards"][0] == "RTX 3090 (24 GB)"


def test_training_json() -> None:
    stated = as_json("training", "--model", "Qwen/Qwen3-8B", "--zero", "3", "--dp", "8")
    params = 8_190_735_360
    assert stated["per_gpu"]["weights_bytes"] == pytest.approx(2 * params / 8)
    assert stated["per_gpu"]["optimizer_bytes"] == pytest.approx(12 * params / 8)
    assert "x 4" in stated["notes"][0]
    assert stated["rule_of_thumb_gb"] == [pytest.approx(params * 12 / 1e9)] * 2
    assert stated["cards"] == 2


def test_nanochat_json() -> None:
    stated = as_json("nanochat", "--depth", "20")
    assert round(stated["total_gb"], 2) == 1.98
    assert round(stated["recommended_gb"], 1) == 2.4
    assert any("522.0 M" in note for note in stated["notes"])
    assert any("561.0 M" in note for note in stated["notes"])


def test_measured_vs_theory_json() -> None:
    stated = as_json(
        "measured-vs-theory", "--model", "Qwen/Qwen3-8B", "--stated-gib", "14.383",
        "--measured-gib", "14.883", "--overhead", "10:0.014", "--overhead", "200:0.121",
        "--driver-mib", "16808",
    )  # fmt: skip
    assert round(100 * stated["measured_over_stated"], 2) == 3.48
    assert stated["measured_over_exact"] < 0
    assert any("below the exact weights" in note for note in stated["notes"])


def test_check_json_names_every_part() -> None:
    stated = as_json("--check", str(LOGS / "vllm_0.10.2_qwen3_30b.log"))
    parts = {part["part"]: part for part in stated["parts"]}
    assert stated["gpu"] == "h100-sxm-80gb"
    for part in ("weights", "KV cache pool", "KV cache per token", "activations"):
        assert abs(parts[part]["difference"]) < 0.02, part


def test_markdown_and_files(tmp_path: Path) -> None:
    markdown = run("--model", "Qwen/Qwen3-8B", "--format", "md")
    assert "| language model | 8,190,735,360 |" in markdown.output
    target = tmp_path / "out.json"
    run("--model", "Qwen/Qwen3-8B", "--format", "json", "-o", str(target))
    assert json.loads(target.read_text(encoding="utf-8"))["model"] == "Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_attention_heads": 33}, "num_attention_heads"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"hidden_size": None}, "hidden_size"),
        ({"architectures": ["NoSuchModel"]}, "NoSuchModel"),
        ({"hidden_size": "big"}, "hidden_size"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
    ],
)
def test_an_absurd_config_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], named: str
) -> None:
    assert named in fails(capsys, "--model", config(tmp_path, **changes))


def test_a_tensor_parallel_degree_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(capsys, "--model", "Qwen/Qwen3-8B", "--gpu", "h100", "--tp", "3")
    assert "do not divide by tensor parallel 3" in message


@pytest.mark.parametrize("args", [
    ("--tp", "0"), ("--context", "-5"), ("--weights", "fp7"), ("--kv-cache", "q9"),
    ("--gpu", "h1000"), ("--engine", "ollama", "--gpu", "h100"), ("--memory-fraction", "1.5"),
])  # fmt: skip
def test_wrong_options_are_one_message(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(capsys, "--model", "Qwen/Qwen3-8B", *args)


@pytest.mark.parametrize("args", [
    (), ("fits",), ("rule-of-thumb",), ("rule-of-thumb", "--params", "7e9"),
    ("training", "--model", "Qwen/Qwen3-8B", "--optimizer", "adamm"),
    ("training", "--model", "Qwen/Qwen3-8B", "--tp", "7"),
    ("training", "--model", "Qwen/Qwen3-8B", "--pp", "99"),
    ("nanochat", "--depth", "100000"), ("nanochat", "--depth", "20", "--dtype", "fp7"),
    ("measured-vs-theory", "--model", "Qwen/Qwen3-8B", "--overhead", "ten"),
    ("--model", "Qwen/Qwen9-8B"), ("--check", "/no/such/log"),
])  # fmt: skip
def test_wrong_calls_are_one_message(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(capsys, *args)


def test_the_nearest_optimizer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(capsys, "training", "--model", "Qwen/Qwen3-8B", "--optimizer", "adamm")
    assert "did you mean 'adam'" in message


def test_a_file_that_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("a", b""), ("b", b"hello\nworld\n"), ("c", bytes(range(256)) * 100)):
        path = tmp_path / name
        path.write_bytes(content)
        assert "no start-up log" in fails(capsys, "--check", str(path))
    assert "no such log" in fails(capsys, "--check", str(tmp_path))


def test_huge_files_are_refused_unread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    assert "too large" in fails(capsys, "--model", str(path))
    assert "too large" in fails(capsys, "--check", str(path))


def test_the_real_entry_point(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "planner",
        "memory",
        "--model",
        config(tmp_path),
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"]["total"] == 8_030_261_248
    bad = subprocess.run([*command[:4], "--model", "no-such-model"], capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert bad.returncode == 2
    assert bad.stderr.startswith("error: unknown model")


def test_the_command_line_that_a_sizing_assumes() -> None:
    stated = as_json(
        "--model", "Qwen/Qwen3-32B", "--gpu", "h100", "--tp", "2", "--context", "32768", "--launch"
    )
    words = " ".join(line.rstrip(" \\").strip() for line in stated["launch"]).split()
    assert words[:3] == ["vllm", "serve", "Qwen/Qwen3-32B"]
    options = dict(itertools.pairwise(words))
    assert options["--tensor-parallel-size"] == "2"
    assert options["--max-model-len"] == "32768"
    assert float(options["--gpu-memory-utilization"]) == stated["memory"]["memory_fraction"]


def test_a_launch_without_a_gpu_is_refused() -> None:
    result = run("--model", "Qwen/Qwen3-32B", "--launch")
    assert "--gpu" in str(result.exception)


def test_fits_takes_the_gpus_one_has() -> None:
    stated = as_json("fits", "--model", "Qwen/Qwen3-8B", "--mine", "2x rtx-3090, 1x rtx-4090")
    assert {fit["gpu"] for fit in stated["fits"]} == {"rtx-3090", "rtx-4090", "all 3 as rtx-4090"}


def test_the_headline_counts_an_encoder_with_its_language_model(tmp_path: Path) -> None:
    """Voxtral Mini 3B: 4.68 B parameters on disk, an audio encoder among them."""
    cases = json.loads((LOGS.parents[1] / "catalog/hub_files.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(next(c["config"] for c in cases if c["name"] == "voxtral")))
    headline = run("--model", str(path)).output.splitlines()[0]
    assert headline.startswith(
        "4.68 billion parameters (0.66 billion of them an encoder); 9.35 GB (8.71 GiB)"
    )
    assert "vision or audio encoder" in run("--model", str(path)).output


def test_the_former_name_of_an_option_works_and_warns(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["memory", "rule-of-thumb", "--model", "Qwen/Qwen3-8B", "--format", "json"]
    assert main([*call, "--gpu-gb", "24"]) == 0
    today = capsys.readouterr()
    assert main([*call, "--card-gb", "24"]) == 0
    former = capsys.readouterr()
    assert (former.out, today.err) == (today.out, "")
    assert former.err == "warning: --card-gb is now called --gpu-gb\n"
