"""Three hundred generated bad inputs, and the ones that once did harm: a message, never a traceback."""

import json
import time
from pathlib import Path

import bad_inputs
import pytest
from cli_files import SCENARIO, write

from planner.cli.main import main

pytestmark = pytest.mark.usefixtures("own_folder")
EACH = 60
INPUTS = {
    "scenario": lambda seed: (("validate", "in.yaml"), bad_inputs.bad_scenario(seed)),
    "config": lambda seed: (
        ("memory", "--model", "in.json"),
        bad_inputs.bad_json(seed, bad_inputs.CONFIG),
    ),
    "trace": lambda seed: (
        ("trace", "describe", "in.csv"),
        bad_inputs.bad_table(seed, bad_inputs.TRACE),
    ),
}


def survives(capsys, args):
    code = main(args)
    out, err = capsys.readouterr()
    assert code in (0, 2, 3, 4), (args, code, err)
    assert "Traceback" not in err
    assert "internal error" not in err
    assert "\x1b" not in out + err
    assert "\a" not in out + err
    return code


@pytest.mark.parametrize("kind", ["scenario", "config", "trace"])
def test_generated_bad_inputs(capsys, kind):
    codes = set()
    for seed in range(100):
        args, data = INPUTS[kind](seed)
        write(args[-1], data)
        codes.add(survives(capsys, args))
    assert 2 in codes


def test_generated_bad_price_files():
    from planner.catalog.offer_rows import read_offers
    from planner.errors import InputError

    refused = 0
    for seed in range(EACH):
        path = write("own.csv", bad_inputs.bad_table(seed, bad_inputs.PRICES))
        try:
            read_offers(Path(path), InputError)
        except InputError:
            refused += 1
    assert refused > EACH / 3


@pytest.fixture(scope="module")
def plan_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "mine.yaml").write_text(SCENARIO)
    requested = ("--verify", "none", "-q", "-o", str(folder / "plan.json"))
    assert main(("solve", str(folder / "mine.yaml"), *requested)) == 0
    return (folder / "plan.json").read_text()


def test_generated_bad_plans(plan_text):
    from planner.errors import InputError
    from planner.plan.schema import read_plan

    refused = 0
    for seed in range(EACH):
        path = write("plan.json", bad_inputs.bad_json(seed, plan_text))
        try:
            read_plan(path)
        except InputError:
            refused += 1
    assert refused > EACH / 2


def test_a_simulation_too_long_for_memory_is_refused(refused):
    write("mine.yaml", SCENARIO)
    message = refused("simulate", "mine.yaml", "--duration", "100000h")
    assert "too many requests" in message
    assert "h or less" in message


def test_a_config_with_thousands_of_digits(refused):
    config = bad_inputs.CONFIG.replace("2048", "9" * 6000)
    assert "too many digits" in refused("memory", "--model", write("config.json", config))
    trace = '{"timestamp": 0, "input_length": %s, "output_length": 1}\n' % ("9" * 6000)
    assert "not a JSON object" in refused("trace", "describe", write("t.jsonl", trace))


def test_a_folder_without_a_config(refused):
    Path("empty").mkdir()
    assert "config.json: no such file" in refused("memory", "--model", "empty")


@pytest.mark.parametrize(
    "args",
    [
        ("trace", "describe", "secret"),
        ("accuracy", "secret"),
        ("calibrate", "secret", "-o", "c.yaml"),
        ("solve", "prices.yaml"),
        ("solve", "series.yaml"),
    ],
    ids=lambda args: " ".join(args),
)
def test_the_first_line_of_a_foreign_file_is_not_quoted(refused, args):
    write("secret", "root:hunter2:0\nmore:lines:1\n")
    write("prices.yaml", f"{SCENARIO}prices: {{file: secret}}\n")
    write("series.yaml", f"{SCENARIO}load: {{series: secret}}\n")
    assert "hunter2" not in refused(*args)


def test_control_characters_in_a_scenario_are_refused(refused):
    text = f'{SCENARIO}name: "a\\e[31mb\\a"\n'
    message = refused("solve", write("mine.yaml", text))
    assert message.startswith("error: mine.yaml:7: a control character in text")
    write("mine.yaml", SCENARIO)
    assert "not a field" in refused("solve", "mine.yaml", "--set", 'name="a\\e[31m"')


def test_control_characters_of_a_plan_are_refused(refused, plan_text):
    plan = json.loads(plan_text)
    plan["nodes"][0]["region"] = "r\x1b]0;x\x07"
    assert "a control character in a text" in refused("report", write("p.json", json.dumps(plan)))


def test_control_characters_reach_no_report():
    from planner.reporting.document import Column, Document, Section, Table
    from planner.reporting.formats import csv_table, html

    table = Table("t", "a\x1bb", (Column("c", "c"),), (("x\x1b[31m\x07",),))
    document = Document(title="a\x07b", headline="", sections=(Section("s", "s\x1b", (table,)),))
    for text in (csv_table.render(table), html.render(document)):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "x\ufffd[31m\ufffd" in text


def test_a_trace_at_one_instant(capsys):
    rows = "5,100,20\n" * 200
    write("same.csv", f"arrival_s,prompt_tokens,output_tokens\n{rows}")
    assert survives(capsys, ("trace", "describe", "same.csv")) == 0


def test_errors_of_calibrate_come_once(refused):
    head = "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms"
    row = "Qwen/Qwen3-9B,h100,vllm,bf16,1,100,100,1,10,10"
    message = refused("calibrate", write("p.csv", f"{head}\n{row}\n"), "-o", "c.yaml")
    assert message.count("unknown model") == 1
    assert "1 of 1 rejected" in message
    assert not Path("c.yaml").exists()


@pytest.mark.slow
def test_a_million_requests_in_bounded_time(capsys):
    rows = "".join(f"{i * 0.01:.2f},{100 + i % 900},{20 + i % 80}\n" for i in range(1_000_000))
    write("long.csv", f"arrival_s,prompt_tokens,output_tokens\n{rows}")
    started = time.monotonic()
    assert survives(capsys, ("trace", "describe", "long.csv")) == 0
    assert time.monotonic() - started < 60
