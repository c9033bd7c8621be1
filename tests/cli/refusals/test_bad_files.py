"""Bad files of every kind: one clear message, the right exit code, no traceback, no partial output."""

import json
import os
from pathlib import Path

import pytest
from cli_files import LLAMA_1B as CONFIG
from cli_files import SCENARIO, write

from planner.cli.main import main

pytestmark = pytest.mark.usefixtures("own_folder")

PRICES = "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source\n"
PRICE = "acme,dc-1,own-l4,l4,4,on-demand,2.0,2026-05-01,invoice\n"


SLO = "{ttft_p99: 1s, tpot_p99: 60ms}"
CHANGED = [
    ("Llama-3.1-8B", "Llama-3.1-9B", 1, ["model", "unknown model", "did you mean"]),
    ("meta-llama/Llama-3.1-8B-Instruct", "''", 1, ["unknown model"]),
    ("meta-llama/Llama-3.1-8B-Instruct", "12", 1, ["must be text", "12"]),
    ("meta-llama/Llama-3.1-8B-Instruct", "no/config.json", 1, ["no such file"]),
    ("meta-llama/Llama-3.1-8B-Instruct", "{layers: 2}", 1, ["model.hidden is missing"]),
    (
        "meta-llama/Llama-3.1-8B-Instruct",
        "{layers: 2, hidden: 64, heads: 5, vocab: 10, intermediate: 8}",
        1,
        ["not a multiple of heads"],
    ),
    ("l40s", "h1000", 6, ["search.gpus", "unknown GPU", "did you mean 'h100'"]),
    ("l40s", "l4-24gb", 6, ["did you mean 'l4'"]),
    ("[l4, l40s]", "[]", 6, ["search.gpus", "the list is empty"]),
    ("[l4, l40s]", "{a: 1}", 6, ["all, or a list of names"]),
    ("tensor_parallel: [1]", "tensor_parallel: [0]", 6, ["tensor_parallel.0", "found:   0"]),
    ("tensor_parallel: [1]", "engines: [vlm]", 6, ["unknown engine", "did you mean 'vllm'"]),
    ("tensor_parallel: [1]", "weights: [fp7]", 6, ["search.weights", "did you mean 'fp8'"]),
    ("tensor_parallel: [1]", "kv_cache: [fp9]", 6, ["search.kv_cache", "did you mean 'fp8'"]),
    ("tensor_parallel: [1]", "settings: {max_num_seq: 3}", 6, ["did you mean 'max_num_seqs'"]),
    ("tensor_parallel: [1]", "settings: {memory_fraction: 1.2}", 6, ["must be less than 1"]),
    ("rate: 5", "rate: -1", 2, ["rate: must be greater than 0", "-1"]),
    ("rate: 5", "rate: 0", 2, ["rate: must be greater than 0"]),
    ("rate: 5", "rate: .nan", 2, ["must be a number", "nan"]),
    ("rate: 5", "rate: .inf", 2, ["must be a number", "inf"]),
    ("rate: 5", "rate: 1e30", 2, ["must be less than or equal to", "1e+30"]),
    ("rate: 5", "rate: fifty", 2, ["must be a number", "'fifty'"]),
    ("rate: 5", "rate: 20/x", 2, ["must be a number", "20/s or 1200/min"]),
    ("prompt_tokens: 500", "prompt_tokens: lots", 3, ["not a number of tokens", "8k"]),
    ("rate: 5", "rate: null", 2, ["must be a number", "null"]),
    ("rate: 5", "rate: 5\nrat: 4", 3, ["unknown field 'rat'", "did you mean 'rate'"]),
    ("rate: 5", "rate: 5\nrate: 4", 3, ["'rate' is given twice"]),
    ("rate: 5", "rate: 5\npriority: -1", 3, ["priority"]),
    ("rate: 5", "rate: 5\nserve: some", 3, ["must be 'all' or 'by-priority'"]),
    ("rate: 5", "rate: 5\narrivals: {process: poisson, cv: 3}", 3, ["gamma or weibull"]),
    ("rate: 5", "rate: 5\nallow_lower_precision: maybe", 3, ["true or false"]),
    ("prompt_tokens: 500", "prompt_tokens: 0", 3, ["greater than or equal to 1"]),
    ("prompt_tokens: 500", "prompt_tokens: 1e30", 3, ["less than or equal to"]),
    ("prompt_tokens: 500", "prompt_tokens: {mean: 9, cv: 1, max: 3}", 3, ["below mean"]),
    ("prompt_tokens: 500", "prompt_tokens: {quantiles: {a: 1, 0.5: 2}}", 3, ["found 'a'"]),
    ("prompt_tokens: 500", "prompt_tokens: {mean: 9, cv: -1}", 3, ["prompt_tokens.cv"]),
    ("ttft_p99: 1s", "ttft_p99: 0", 5, ["slo.ttft_p99: the target must be longer than 0"]),
    ("ttft_p99: 1s", "ttft_p99: -1s", 5, ["slo.ttft_p99", "'-1s'"]),
    ("ttft_p99: 1s", "ttft_p99: fast", 5, ["slo.ttft_p99", "'fast'"]),
    ("ttft_p99: 1s", "ttft_p99: 2 parsecs", 5, ["unknown unit 'parsecs'"]),
    ("ttft_p99: 1s", "ttft_p99: .inf", 5, ["finite"]),
    ("ttft_p99: 1s", "ttft_p99: 1e99s", 5, ["at most"]),
    ("ttft_p99: 1s", "ttft_p0: 1s", 5, ["percentile lies between"]),
    ("ttft_p99: 1s", "ttf_p99: 1s", 5, ["did you mean 'ttft_p99'"]),
    (SLO, "{}", 5, ["at least one target"]),
    (SLO, "fast", 5, ["mapping of fields", "'fast'"]),
]
ADDED = [
    ("prices: {providers: [awz]}", ["prices.providers", "did you mean 'aws'"]),
    ("prices: {regions: [us-east-99]}", ["prices.regions", "did you mean 'us-east-"]),
    ("prices: {terms: [weekly]}", ["prices.terms", "on-demand, spot"]),
    ("prices: {terms: []}", ["prices.terms", "the list is empty"]),
    ("prices: {factors: {aws: -1}}", ["prices.factors.aws"]),
    ("prices: {factors: {awz: 0.8}}", ["prices.factors.awz", "on-demand", "did you mean 'aws'"]),
    ("prices: {factors: {spott: 0.8}}", ["prices.factors.spott", "all; ", "did you mean 'spot'"]),
    ("prices: {file: no.csv}", ["no such price file"]),
    ("limits: {max_gpus: 0}", ["limits.max_gpus"]),
    ("limits: {stock: {h1000: 3}}", ["limits.stock.h1000", "did you mean 'h100'"]),
    ("limits: {stock: {l4: -3}}", ["limits.stock.l4"]),
    ("limits: {stock: {l4: 2.5}}", ["must be a whole number"]),
    ("limits: {quotas: [{max_gpus: 3, gpu: h1000}]}", ["quotas.0.gpu", "did you mean 'h100'"]),
    ("limits: {quotas: [{max_gpus: 3, gpus: l4}]}", ["unknown field 'gpus'", "'gpu'"]),
    ("limits: {quotas: [{max_gpus: 3, provider: awz}]}", ["did you mean 'aws'"]),
    ("existing: [{gpu: h1000, nodes: 1}]", ["existing.0.gpu", "did you mean 'h100'"]),
    ("spot: {max_share: 2}", ["spot.max_share"]),
    ("assumptions: {prefix_hit_share: 1}", ["assumptions.prefix_hit_share"]),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), CHANGED, ids=[c[1] for c in CHANGED])
def test_a_field_that_cannot_be(refused, old, new, line, words):
    assert SCENARIO.count(old) == 1
    message = refused("solve", write("mine.yaml", SCENARIO.replace(old, new)))
    assert message.startswith(f"error: mine.yaml:{line}")
    for word in words:
        assert word in message


@pytest.mark.parametrize(("text", "words"), ADDED, ids=[a[0] for a in ADDED])
def test_prices_and_limits_that_cannot_be(refused, text, words):
    message = refused("solve", write("mine.yaml", f"{SCENARIO}{text}\n"))
    assert message.startswith("error: mine.yaml:7")
    for word in words:
        assert word in message


ONE = "{name: a, model: meta-llama/Llama-3.1-8B-Instruct, rate: 1, prompt_tokens: 1, output_tokens: 1}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["an empty file"]),
        ("- a\n- b\n", ["a mapping of fields", "list"]),
        ("model:\tx\n\trate: 4\n", ["broken.yaml:1", "not valid YAML"]),
        ("model: a: b\n", ["broken.yaml:1", "not valid YAML"]),
        ("rate: [", ["not valid YAML"]),
        (f"{SCENARIO}---\n{SCENARIO}", ["two YAML documents"]),
        ("model: !!python/object/apply:os.system [ls]\n", ["constructor"]),
        ("a: &a [*a]\n", ["too large or too deeply nested"]),
        ("a: " + "[" * 5000 + "]" * 5000, ["too deeply nested"]),
        ("#" * 2_000_000, ["too large", "2,000,000 bytes"]),
        (bytes(range(256)), ["not UTF-8"]),
        (b"model: a\0b\n", ["unacceptable character"]),
        ("services: []\n", ["at least one entry"]),
        ("services: [a, b]\n", ["services must be a list", "each entry"]),
        ("services: a\n", ["services must be a list"]),
        (f"slo: {{ttft_p99: 1s}}\nservices: [{ONE}, {ONE}]\n", ["share the name 'a'"]),
        (f"services: [{ONE}]\n", ["'slo' is required"]),
        (
            f"services: [{ONE[:-1]}, limits: 1}}]\n",
            ["unknown field 'limits'", "buckets, assurance"],
        ),
    ],
)
def test_a_file_that_is_no_scenario(refused, content, words):
    message = refused("solve", write("broken.yaml", content))
    assert "broken.yaml" in message
    for word in words:
        assert word in message


def test_no_file_or_a_folder(refused):
    assert "did you mean 'llama70b_qps50'" in refused("solve", "llama70b_qps5")
    assert "a folder" in refused("solve", ".")
    assert "Missing argument" in refused("solve")
    assert "did you mean 'solve'" in refused("slove")
    assert "No such option" in refused("solve", "x", "--fromat", "json")


CONFIGS = [
    ({"num_hidden_layers": None}, ["num_hidden_layers is missing"]),
    ({"num_hidden_layers": 0}, ["num_hidden_layers", "found:   0", "1 to 1000"]),
    ({"num_hidden_layers": -4}, ["num_hidden_layers", "-4"]),
    ({"num_hidden_layers": 10**9}, ["num_hidden_layers", "1000000000"]),
    ({"num_hidden_layers": "16"}, ["not a whole number", "'16'"]),
    ({"num_hidden_layers": 16.5}, ["not a whole number", "16.5"]),
    ({"num_attention_heads": 33}, ["num_attention_heads"]),
    ({"vocab_size": -1}, ["vocab_size", "-1"]),
    ({"hidden_size": float("nan")}, ["hidden_size", "nan"]),
    ({"architectures": ["LlamoForCausalLM"]}, ["did you mean 'LlamaForCausalLM'"]),
    ({"architectures": "LlamaForCausalLM"}, ["architectures", "not a list"]),
    ({"quantization_config": {"quant_method": "magic"}}, ["quant_method", "magic"]),
]


@pytest.mark.parametrize(("change", "words"), CONFIGS)
def test_a_config_that_cannot_be(refused, change, words):
    write("m/config.json", json.dumps({**CONFIG, **change}))
    message = refused("memory", "--model", "m")
    assert message.startswith("error: m/config.json: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{not json", "config.json:1:2: not valid JSON"),
        ("[1, 2]", "a JSON object"),
        ("", "not valid JSON"),
        (bytes(range(256)), "is not UTF-8 text"),
        ("[" * 200_000 + "]" * 200_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
    ],
)
def test_a_config_that_is_none(refused, content, words):
    write("m/config.json", content)
    assert words in refused("memory", "--model", "m")


def test_a_config_of_200_mb_is_not_read(refused):
    path = Path(write("m/config.json", "{}"))
    os.truncate(path, 200_000_000)
    assert "200,000,000 bytes" in refused("memory", "--model", "m")


PRICE_FILES = [
    (PRICES + PRICE.replace("2.0", "cheap"), ["own.csv:2:usd_per_hour", "cheap", "a number"]),
    (PRICES + PRICE.replace("2.0", "-2"), ["own.csv:2:usd_per_hour", "above 0"]),
    (PRICES + PRICE.replace("2.0", "nan"), ["own.csv:2:usd_per_hour", "finite"]),
    (PRICES + PRICE.replace("2.0", '"1,234.5"'), ["own.csv:2:usd_per_hour", "1,234.5"]),
    (PRICES + PRICE.replace(",l4,", ",l44,"), ["own.csv:2:gpu", "did you mean 'l4'"]),
    (PRICES + PRICE.replace(",4,", ",0,"), ["own.csv:2:gpu_count"]),
    (PRICES + PRICE.replace("2026-05-01", "May 1st"), ["own.csv:2:as_of", "YYYY-MM-DD"]),
    (PRICES + PRICE.replace("on-demand", "weekly"), ["own.csv:2:term", "on-demand"]),
    (PRICES + PRICE + PRICE, ["own.csv:3", "listed twice"]),
    (PRICES + "acme,dc-1\n", ["own.csv:2", "one cell per column"]),
    (PRICES, ["no offer is left"]),
    ("provider,gpu,usd_per_hour\nacme,l4,2\n", ["a column is missing", "gpu_count"]),
    ((PRICES + PRICE).replace(",", ";"), ["commas"]),
    ("", ["empty"]),
    (bytes(range(256)), ["is not UTF-8 text"]),
]


@pytest.mark.parametrize(("content", "words"), PRICE_FILES)
def test_a_price_file_that_cannot_be(refused, content, words):
    write("own.csv", content)
    message = refused("solve", write("mine.yaml", f"{SCENARIO}prices: {{file: own.csv}}\n"))
    for word in words:
        assert word in message


def catalogs_with(repository, file, content):
    """The shipped catalogs, with one file replaced (None: left out)."""
    mine = Path("cat")
    mine.mkdir()
    for path in (repository / "catalogs").iterdir():
        if path.name != file:
            (mine / path.name).symlink_to(path)
    if content is not None:
        (mine / file).write_bytes(content)
    return str(mine)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("gpus.csv", b"name,memory\nh100,80\n", "unknown column"),
        ("gpus.csv", b"", "the table is empty"),
        ("gpus.csv", None, "no such file"),
        ("engines.yaml", b"{", "not valid YAML"),
        ("engines.yaml", bytes(range(256)), "is not UTF-8 text"),
        ("support.yaml", None, "no such file"),
        ("prices", None, "no price file"),
    ],
)
def test_catalogs_that_cannot_be_exit_4(refused, repository, file, content, words):
    folder = catalogs_with(repository, file, content)
    message = refused("solve", write("mine.yaml", SCENARIO), "--catalogs", folder, code=4)
    assert words in message
    assert str(Path("cat") / file) in message


def test_a_row_that_cannot_be_predicted_is_said_in_one_line(tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text(
        "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,tpot_ms\n"
        "Qwen/Qwen3-8B,h1000,vllm,bf16,1,1000,200,8,7\n"
    )
    assert main(["accuracy", str(path)]) == 2
    line = capsys.readouterr().err.splitlines()[0]
    assert line.endswith("unknown GPU; found: h1000; allowed: 67 names; next: did you mean 'h100'?")


@pytest.mark.parametrize("command", ["solve", "explain", "report"])
def test_a_day_before_every_price_is_refused_with_the_first_one(command, capsys):
    write("s.yaml", SCENARIO)
    assert main([command, "s.yaml", "--verify", "none", "--as-of", "2020-01-01"]) == 2
    said = capsys.readouterr().err
    assert "no price is known on 2020-01-01: the first is of 2026-01-01" in said
    assert "a day from 2026-01-01 on" in said
