"""What each command and help page prints, word for word, at 80 and 140 columns.

Decisions are compared exactly, predicted latencies, rates and shares within a tolerance
(``golden_text``). ``pytest --regenerate-golden`` rewrites a file whose text has changed.
"""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from command_tree import COMMANDS
from golden_text import is_same, masked

from planner import session
from planner.catalog import store
from planner.cli.main import main
from planner.solving.pipeline import solve_scenario

WIDTHS = (80, 140)
UNWRAPPED_WIDTH = 80
CHAT = """
name: chat
model: meta-llama/Llama-3.1-8B-Instruct
rate: 20
prompt_tokens: 800
output_tokens: 200
slo: {ttft_p99: 1s, tpot_p99: 50ms}
search: {gpus: [h100-sxm-80gb, l40s], weights: [bf16], tensor_parallel: [1]}
"""
FILES = {
    "chat.yaml": CHAT,
    "over_budget.yaml": CHAT.replace(
        "name: chat", "name: over_budget\nlimits: {max_cost_usd_per_hour: 1}"
    ),
    "wrong.yaml": CHAT.replace("rate: 20", "rate: -5\nbudget: 3").replace("l40s", "l44"),
    "trace.csv": "arrival_s,prompt_tokens,output_tokens\n0,800,200\n0.4,700,150\n1.1,900,250\n",
    "points.csv": "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,"
    "ttft_ms,tpot_ms\nmeta-llama/Llama-3.1-8B-Instruct,l40s,vllm,bf16,1,800,200,8,150,30\n",
    "fleet.yaml": "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: chat}\nspec:\n  replicas: 2\n"
    "  template:\n    spec:\n      containers:\n      - image: vllm/vllm-openai:v0.19.0\n        args: "
    "[--model, meta-llama/Llama-3.1-8B-Instruct]\n        resources: {limits: {nvidia.com/gpu: 1}}\n",
}
SOLVE = "solve chat.yaml --verify none"
RUNS = {  # name: the arguments and the exit code
    "accuracy": ("accuracy points.csv", 0),
    "autoscale": ("autoscale plan.json --policy static --policy schedule", 0),
    "catalog-engines": ("catalog engines", 0),
    "catalog-gpus": ("catalog gpus h100", 0),
    "catalog-models": ("catalog models llama-3.1-8b", 0),
    "catalog-offers": ("catalog offers v100", 0),
    "compare": ("compare chat.yaml --vary gpu=h100-sxm-80gb,l40s --verify none --jobs 1", 0),
    "diff": ("diff plan.json chat.yaml --set rate=30 --verify none --jobs 1", 0),
    "calibrate": ("calibrate points.csv -o mine.yaml", 0),
    "explain": ("explain plan.json", 0),
    "frontier": ("frontier chat.yaml --show resilience --verify none", 0),
    "memory": ("memory --model Qwen/Qwen3-8B --gpu l4", 0),
    "memory-fits": ("memory fits --model Qwen/Qwen3-8B", 0),
    "report": ("report plan.json --format table --quick", 0),
    "simulate": ("simulate chat.yaml --plan plan.json --duration 3m", 0),
    "solve-brief": ("solve chat.yaml --verify none --brief", 0),
    "solve-infeasible": ("solve over_budget.yaml --verify none", 3),
    "sweep": ("sweep chat.yaml --rate 10..20 --steps 2 --jobs 1", 0),
    "trace-describe": ("trace describe trace.csv", 0),
}
UNWRAPPED = {  # output that is no wider on a wider terminal
    "accept": ("accept --plan plan.json", 0),
    "batch": ("batch chat.yaml --grid rate=10,20 -o rows --jobs 1", 0),
    "deploy": ("deploy plan.json --target vllm -o launch", 0),
    "import": ("import fleet.yaml --gpu l40s", 0),
    "validate": ("validate wrong.yaml", 2),
    "verify": ("verify plan.json", 0),
    "report.md": ("report plan.json --format md --quick -o -", 0),
    "report.csv": ("report plan.json --format csv --quick -o -", 0),
}
MESSAGES = {  # commands that write files, or serve: what they say on stderr
    "init": "init --from-model Qwen/Qwen3-8B -o mine.yaml",
    "serve": "serve chat.yaml --port 8123",
}
REFUSALS = {  # what is wrong, where, and what to do
    "error-no-file": "solve no_such_scenario",
    "error-option": "solve chat.yaml --speed 3",
    "error-scenario": "solve wrong.yaml",
    "error-gpu": "memory --model Qwen/Qwen3-8B --gpu l44",
}


@pytest.fixture(scope="module")
def solved():
    """Scenarios solved before, shared by every run of this file."""
    return {}


@pytest.fixture
def run(tmp_path_factory, monkeypatch, capsys, catalog, solved):
    """Run a command in a folder with the files; return its exit code, output and messages."""
    load = store.load_catalog

    def once(scenario, sources, effort, **more):
        key = (scenario.model_dump_json(), effort)
        if key not in solved:
            solved[key] = solve_scenario(scenario, sources, effort, **more)
        return solved[key]

    monkeypatch.setattr(session, "solve_scenario", once)
    for module in (session, store):
        monkeypatch.setattr(
            module, "load_catalog", lambda root=None: load(root) if root else catalog
        )
    folder = tmp_path_factory.mktemp("terminal")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)

    def called(words, width):
        monkeypatch.setenv("COLUMNS", str(width))
        if "plan.json" in words and "plan.json" not in solved:
            assert (
                main(
                    [
                        "solve",
                        "chat.yaml",
                        "--verify",
                        "none",
                        "--format",
                        "json",
                        "-o",
                        "plan.json",
                    ]
                )
                == 0
            )
            solved["plan.json"] = (folder / "plan.json").read_bytes()
        elif "plan.json" in words:
            (folder / "plan.json").write_bytes(solved["plan.json"])
        capsys.readouterr()
        code = main(words.split())
        return code, *capsys.readouterr()

    yield called
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def golden_text(repository, request, golden):
    """Compare text with a golden file of a folder; rewrite it where requested and where it differs."""

    def check(folder, name, text):
        path = repository / "tests" / "golden" / folder / f"{name}.txt"
        text = masked(text)
        if path.exists() and is_same(path.read_text(encoding="utf-8"), text):
            return
        golden(path, text)

    return check


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", RUNS)
def test_a_command(name, width, run, golden_text):
    words, expected = RUNS[name]
    code, out, err = run(words, width)
    assert code == expected, err
    longest = max(map(len, out.splitlines()))
    golden_text("terminal", f"{name}.{width}", out)
    assert longest <= width


@pytest.mark.parametrize("name", UNWRAPPED)
def test_a_command_that_does_not_wrap(name, run, golden_text):
    words, expected = UNWRAPPED[name]
    code, out, err = run(words, UNWRAPPED_WIDTH)
    assert code == expected, err
    if name == "verify":  # which statements are checked; their numbers have tests of their own
        out = re.sub(r": [^:\n]*$", "", out, flags=re.MULTILINE)
    golden_text("terminal", name, out)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_command_that_prints_messages_alone(name, run, golden_text, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    served = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **named: served.append((app, named)))
    code, out, err = run(MESSAGES[name], UNWRAPPED_WIDTH)
    assert (code, out) == (0, ""), err
    assert [named["port"] for _, named in served] == [8123] * (name == "serve")
    golden_text("terminal", name, err)


def test_the_scenario_that_init_writes(run, golden_text):
    code, _, err = run(MESSAGES["init"], UNWRAPPED_WIDTH)
    assert code == 0, err
    golden_text("terminal", "init.yaml", Path("mine.yaml").read_text(encoding="utf-8"))


def test_the_schema_is_the_shipped_file(run, repository):
    code, out, err = run("schema", UNWRAPPED_WIDTH)
    assert (code, err) == (0, "")
    shipped = repository / "scenarios" / "scenario.schema.json"
    assert out == shipped.read_text(encoding="utf-8")


def test_the_tools_of_mcp(run, golden_text, monkeypatch):
    """Names, descriptions and arguments; the tools themselves are called in tests/web."""
    pytest.importorskip("mcp.server.mcpserver")
    from planner.web import mcp_server

    make, opened = mcp_server.create_server, []

    def kept(session):
        opened.append(make(session))
        monkeypatch.setattr(opened[0], "run", lambda transport: opened.append(transport))
        return opened[0]

    monkeypatch.setattr(mcp_server, "create_server", kept)
    assert run("mcp", UNWRAPPED_WIDTH)[0] == 0
    server, transport = opened
    assert transport == "stdio"
    tools = asyncio.run(server.list_tools())
    text = "".join(
        f"{tool.name}({', '.join(tool.input_schema['properties'])})\n{tool.description}\n\n"
        for tool in tools
    )
    golden_text("terminal", "mcp", text)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal(name, run, golden_text):
    code, out, err = run(REFUSALS[name], UNWRAPPED_WIDTH)
    assert (code, out) == (2, "")
    golden_text("terminal", name, err)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS])
def test_a_help_page(path, command, run, golden_text, monkeypatch):
    """Help is at most 80 characters wide, so a wider terminal changes nothing."""
    monkeypatch.setattr(
        command, "_help_option", None
    )  # kept by click from a call without its group
    narrow, wide = (run(" ".join((*path, "--help")), width) for width in WIDTHS)
    assert narrow == wide
    golden_text("help", "-".join(path), narrow[1])


def test_no_golden_text_without_a_command(repository):
    folder = repository / "tests" / "golden"
    runs = {f"{name}.{width}.txt" for name in RUNS for width in WIDTHS}
    others = {f"{name}.txt" for name in (*UNWRAPPED, *MESSAGES, *REFUSALS, "init.yaml", "mcp")}
    assert {p.name for p in (folder / "terminal").iterdir()} == runs | others
    assert {p.stem for p in (folder / "help").iterdir()} == {"-".join(p) for p, _ in COMMANDS}


def test_predictions_may_move_a_little_and_decisions_may_not():
    text = "7 GPUs, $42.00/h, TTFT p99 322 ms, 105 to 221 ms, 84 % used, 7.14 req/s"
    near = "7 GPUs, $42.00/h, TTFT p99 330 ms, 106 to 219 ms, 85 % used, 7.2 req/s"
    assert is_same(text, near.replace("7.2 req", "7.20 req"))
    assert not is_same(text, text.replace("322 ms", "400 ms"))
    assert not is_same(text, text.replace("7 GPUs", "8 GPUs"))
    assert not is_same(text, text.replace("$42.00", "$42.10"))
    assert not is_same(text, text.replace("used", "in use"))
