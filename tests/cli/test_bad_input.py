"""Bad input of every kind: one clear message, the right exit code, no traceback, no partial output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from planner.cli.main import main

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s, tpot_p99: 60ms}
search: {gpus: [l4, l40s], tensor_parallel: [1]}
"""
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
PRICES = "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source\n"
PRICE = "acme,dc-1,own-l4,l4,4,on-demand,2.0,2026-05-01,invoice\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys):
    """Run the command line; check what holds for every refusal; return the message."""

    def run(*args, code=2):
        found = main(args)
        out, err = capsys.readouterr()
        assert found == code, err or out
        assert out == ""
        assert err.startswith(("error: ", "Usage: "))
        for word in ("Traceback", "internal error"):
            assert word not in err
        return err

    return run


def write(name, content):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


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
        (f"{SCENARIO}---\n{SCENARIO}", ["another document"]),
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
        (bytes(range(256)), "not a UTF-8 text file"),
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
    (bytes(range(256)), ["not a UTF-8 text file"]),
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
        ("engines.yaml", bytes(range(256)), "not a UTF-8 text file"),
        ("support.yaml", None, "no such file"),
        ("prices", None, "no price file"),
    ],
)
def test_catalogs_that_cannot_be_exit_4(refused, repository, file, content, words):
    folder = catalogs_with(repository, file, content)
    message = refused("solve", write("mine.yaml", SCENARIO), "--catalogs", folder, code=4)
    assert words in message
    assert str(Path("cat") / file) in message


@pytest.fixture(scope="module")
def plan_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "mine.yaml").write_text(SCENARIO)
    asked = ("--verify", "none", "--format", "json", "-o", str(folder / "plan.json"))
    assert main(("solve", str(folder / "mine.yaml"), *asked)) == 0
    return (folder / "plan.json").read_text()


@pytest.mark.parametrize("command", ["verify", "report", "diff", "deploy"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:500], "not a JSON file"),
        (lambda text: "", "not a JSON file"),
        (lambda text: "[]", "no schema_version"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "99"),
        (lambda text: text.replace('"status": "optimal"', '"status": "great"', 1), "great"),
        (lambda text: text.replace('"usd_per_month": ', '"usd_per_month": NaN, "x": '), "nan"),
    ],
    ids=["cut", "empty", "list", "newer", "status", "nan"],
)
def test_a_plan_that_is_none(refused, plan_text, command, change, words):
    assert change(plan_text) != plan_text
    plan = write("plan.json", change(plan_text))
    more = {"diff": (plan,), "deploy": ("--target", "vllm", "-o", "launch")}
    assert words in refused(command, plan, *more.get(command, ()))
    assert not Path("launch").exists()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("totals", "usd_per_hour"), 0.1, "the total is the sum over nodes"),
        (("nodes", 0, "usd_per_hour_each"), 0.01, "price of"),
        (("nodes", 0, "count"), 0, "GPUs rented"),
        (("bound_usd_per_hour",), 99.0, "the bound does not exceed"),
        (("services", 0, "replica_groups", 0, "capacity_qps"), 1e6, "arithmetic"),
        (("services", 0, "replica_groups", 0, "predicted", "ttft_p99_s"), 1e-4, "floor"),
        (("scenario", "services", 0, "rate"), 5000.0, "rate asked"),
        (("provenance", "catalog_digest"), "0" * 64, "the catalog is the one"),
    ],
)
def test_a_plan_that_was_tampered_with_fails_its_check(capsys, plan_text, path, value, words):
    plan = json.loads(plan_text)
    at = plan
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert main(("verify", write("plan.json", json.dumps(plan)), "--failed-only")) == 2
    out, err = capsys.readouterr()
    assert words in out
    assert err == ""


OPTIONS = [
    (("--seed", "-1"), "--seed"),
    (("--time-limit", "nan"), "not a finite number"),
    (("--time-limit", "inf"), "not a finite number"),
    (("--time-limit", "0"), "--time-limit"),
    (("--gap", "nan"), "not a finite number"),
    (("--gap", "1"), "--gap"),
    (("--solver", "abacus"), "'highs', 'cbc'"),
    (("--format", "pdf"), "'table', 'json'"),
    (("--catalogs", "nowhere"), "does not exist"),
    (("--calibration", "mine.yaml"), "mine.yaml"),
    (("--calibration", "nowhere"), "does not exist"),
    (("--format", "json", "-o", "no/where/plan.json"), "does not exist"),
    (("--format", "json", "-o", "."), "is a directory"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=[" ".join(o[0]) for o in OPTIONS])
def test_options_that_cannot_be(refused, options, words):
    scenario = write("mine.yaml", SCENARIO)
    message = refused("solve", scenario, "--verify", "none", *options)
    assert words in message


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("memory",), "say what to size"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--gpu", "h1000"), "did you mean 'h100'"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--weights", "fp7"), "did you mean 'fp8'"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--gpu", "h100", "--tp", "3"), "do not divide"),
        (("memory", "--check", "mine.yaml"), "no start-up log"),
        (("memory", "--check", "nowhere.log"), "no such log file"),
        (("memory", "rule-of-thumb", "--params", "nan", "--layers", "1"), "finite"),
        (("catalog", "show", "h999"), "no GPU, model or engine"),
        (("catalog", "gpus", "zzz"), "nothing matches"),
        (("batch", "nowhere", "-o", "out"), "no such scenario"),
        (("batch", "empty", "-o", "out"), "no scenario file matches"),
        (("batch", "mine.yaml", "-o", "out", "--grid", "rate"), "not a grid axis"),
        (("batch", "mine.yaml", "-o", "mine.yaml"), "this is a file"),
        (("explain", "nowhere"), "no such scenario"),
        (("explain", "mine.yaml", "--gap", "2"), "--gap"),
        (("completion", "tcsh"), "'bash', 'zsh', 'fish'"),
    ],
)
def test_other_commands_that_cannot_be(refused, args, words):
    write("mine.yaml", SCENARIO)
    Path("empty").mkdir()
    assert words in refused(*args)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("{max_gpus: 1, max_cost_usd_per_hour: 0.0001}", "max_cost_usd_per_hour"),
        ("{stock: {l4: 0, l40s: 0}}", "limits.stock.l40s: 0 GPUs"),
    ],
)
def test_limits_that_contradict_the_demand_exit_3_and_say_so(capsys, limit, words):
    scenario = write("mine.yaml", f"{SCENARIO}limits: {limit}\n")
    assert main(("solve", scenario, "--verify", "none")) == 3
    out, _ = capsys.readouterr()
    assert "no fleet can meet this scenario" in out
    assert words in out
    assert "would work" in out


def planner(command):
    """The real entry point in a real shell."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m planner {command}"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["catalog offers", "memory fits --model Qwen/Qwen3-8B"])
def test_a_reader_that_goes_away_is_no_error(command):
    done = planner(f"{command} | head -1")
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told():
    done = planner("catalog offers > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: cannot write the result: No space left on device\n"


def test_ctrl_c_says_interrupted(capsys, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("planner.api.solve", interrupt)
    assert main(("solve", write("mine.yaml", SCENARIO))) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip() == "interrupted"
