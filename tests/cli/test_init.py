"""``planner init`` writes a scenario of each kind of work that is valid as written."""

import sys
from pathlib import Path

import pytest
import yaml
from cli_files import write

from planner.cli.main import main
from planner.scenario import template

pytestmark = pytest.mark.usefixtures("own_folder")
MODEL = "Qwen/Qwen3-8B"


def run(capsys, *args):
    code = main(args)
    out, err = capsys.readouterr()
    return code, out, err


def made(capsys, *args):
    assert run(capsys, "init", "--from-model", MODEL, "--force", *args)[0] == 0
    assert run(capsys, "validate", "scenario.yaml") == (0, "scenario.yaml: valid\n", "")
    return yaml.safe_load(Path("scenario.yaml").read_text())


def test_init_writes_a_scenario_that_is_valid(capsys):
    made = run(capsys, "init", "--from-model", "Qwen/Qwen3-8B", "-o", "new.yaml")
    assert made == (0, "", "wrote new.yaml\n")
    assert yaml.safe_load(Path("new.yaml").read_text())["model"] == "Qwen/Qwen3-8B"
    assert run(capsys, "validate", "new.yaml")[0] == 0


def test_init_keeps_what_exists(refused):
    write("scenario.yaml", "mine")
    assert "exists already" in refused("init", "--from-model", "Qwen/Qwen3-8B")
    assert Path("scenario.yaml").read_text() == "mine"


def test_init_of_an_unknown_model_writes_nothing(refused):
    assert "did you mean" in refused("init", "--from-model", "Qwen/Qwen3-9B")
    assert list(Path().iterdir()) == []


def test_init_without_a_terminal_asks_nothing(refused, on_stdin):
    on_stdin("")
    assert "--from-model" in refused("init")


def test_init_asks(capsys, monkeypatch, on_stdin):
    on_stdin("Qwen/Qwen3-8B\n\n20/s\n8k\n\n1s\n\n\nl40s\n\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(("init",)) == 0
    capsys.readouterr()
    data = yaml.safe_load(Path("scenario.yaml").read_text())
    assert (data["rate"], data["prompt_tokens"], data["output_tokens"]) == ("20/s", "8k", 300)
    assert data["slo"] == {"ttft_p99": "1s", "tpot_p99": "100ms"}
    assert data["search"]["gpus"] == ["l40s"]


def test_init_of_every_kind_of_work(capsys):
    assert made(capsys, "--kind", "rerank")["task"] == "rerank"
    assert made(capsys, "--kind", "embed")["slo"] == {"e2e_p99": "1s"}
    batch = made(capsys, "--kind", "batch")
    assert batch["job"] == {"requests": "1M", "start": 20, "within": "8h"}
    assert not {"rate", "slo"} & set(batch)
    talk = made(capsys, "--kind", "conversations")
    assert talk["conversations"] == {"turns": 8, "think_time": "20s", "growth": 500}


def test_init_with_adapters_and_ways_to_serve(capsys):
    data = made(capsys, "--adapters", "20", *(f"--try={way}" for way in template.WAYS))
    assert data["lora"] == {"adapters": 20, "rank": 16}
    assert data["search"]["speculative"] == ["none", "ngram"]
    assert data["search"]["settings"] == {"kv_offload": {"host_memory": "256GiB"}}
    assert data["search"]["disaggregation"] is True


@pytest.mark.parametrize("kind", template.KINDS)
def test_the_comments_of_a_scenario_are_valid_fields(capsys, kind):
    made(capsys, "--kind", kind)
    text = Path("scenario.yaml").read_text()
    offered = ("# lora:", "  # speculative:", "  # settings:", "  # disaggregation:")
    lines = [
        line.replace("# ", "", 1) if line.startswith(offered) else line
        for line in text.splitlines()
    ]
    write("all.yaml", "\n".join(lines))
    if kind == "conversations":  # those two do not go together
        write(
            "all.yaml",
            Path("all.yaml").read_text().replace("  disaggregation", "  # disaggregation"),
        )
    assert run(capsys, "validate", "all.yaml") == (0, "all.yaml: valid\n", "")


def test_init_asks_for_what_the_kind_needs(capsys, monkeypatch, on_stdin):
    on_stdin(f"{MODEL}\nbatch\n3M\n12h\n22\n2k\n\n5\n\nspeculation\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(("init",)) == 0
    capsys.readouterr()
    data = yaml.safe_load(Path("scenario.yaml").read_text())
    assert data["job"] == {"requests": "3M", "start": 22, "within": "12h"}
    assert (data["prompt_tokens"], data["output_tokens"]) == ("2k", 300)
    assert data["lora"]["adapters"] == 5
    assert data["search"] == {"gpus": "all", "speculative": ["none", "ngram"]}
