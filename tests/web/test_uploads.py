"""A scenario on a server can name files that came with it, catalog names, and no file of the server."""

from pathlib import Path

import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.web.limits import ServerLimits
from planner.web.problems import all_problems, read_question
from planner.web.uploads import uploaded

SCENARIO = """\
model: meta-llama/Meta-Llama-3-70B-Instruct
rate: 50
prompt_tokens: 1000
output_tokens: 500
slo: {ttft_p99: 2s}
"""
SECRET = "/etc/passwd"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def changed(field, value):
    lines = [line for line in SCENARIO.splitlines() if not line.startswith(f"{field}:")]
    return "\n".join([*lines, f"{field}: {value}"]) + "\n"


NAMING = {
    "model": ("model", SECRET),
    "a folder": ("model", "tests"),
    "a home": ("model", "~/config.json"),
    "above": ("model", "../config.json"),
    "prompts": ("prompt_tokens", f"{{trace: {SECRET}}}"),
    "outputs": ("output_tokens", f"{{trace: {SECRET}}}"),
    "series": ("load", f"{{series: {SECRET}}}"),
    "prices": ("prices", f"{{file: {SECRET}}}"),
    "shipped prices": ("prices", "{file: catalogs/gpus.csv}"),
    "compare_with": ("compare_with", f"[{SECRET}]"),
}


@pytest.mark.parametrize(("field", "value"), NAMING.values(), ids=NAMING)
def test_a_file_of_the_server_is_refused_at_its_field(catalog, tmp_path, field, value):
    with pytest.raises(InputError) as refused:
        read_question(changed(field, value), {}, tmp_path, catalog)
    assert "only files uploaded" in refused.value.what
    assert field in str(refused.value.where)


def test_uploads_are_found_and_shipped_traces_too(catalog, tmp_path):
    config = (catalog.root / "models").rglob("*.json")
    files = {"mine.json": next(iter(sorted(config))).read_text(encoding="utf-8")}
    (tmp_path / "mine.json").write_text(files["mine.json"], encoding="utf-8")
    found = read_question(changed("model", "mine.json"), files, tmp_path, catalog)
    assert found.services[0].model == str(tmp_path / "mine.json")
    shipped = changed("prompt_tokens", "{trace: azure_code_2023}")
    read_question(shipped, {}, tmp_path, catalog)


def test_the_folder_is_when_the_request_ends():
    with uploaded({"a.csv": "x"}, ServerLimits()) as folder:
        assert (folder / "a.csv").read_text(encoding="utf-8") == "x"
    assert not folder.exists()


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/b", "", ".hidden", "x\0", "a" * 200, "scenario.yaml"]
)
def test_a_name_that_is_a_path_is_refused(name):
    with pytest.raises(InputError), uploaded({name: "x"}, ServerLimits()):
        pass


def test_too_many_and_too_large_are_refused():
    with pytest.raises(InputError), uploaded({f"f{i}": "" for i in range(99)}, ServerLimits()):
        pass
    with pytest.raises(InputError), uploaded({"big": "x" * 9}, ServerLimits(file_bytes=8)):
        pass


def test_every_problem_is_found_at_once(catalog, tmp_path):
    text = changed("rate", "fast") + "wat: 1\nsearch: {gpus: [nope]}\nlimits: {max_gpus: 0}\n"
    found = all_problems(text, {}, tmp_path, catalog)
    assert {str(e.where).rpartition(", ")[2] for e in found} == {"rate", "wat", "limits.max_gpus"}


def test_every_unknown_name_is_found_at_once(catalog, tmp_path):
    text = SCENARIO + "search: {gpus: [nope, h200x], engines: [vlm]}\nprices: {providers: [acme]}\n"
    found = all_problems(text, {}, tmp_path, catalog)
    assert len(found) == 4
    assert {str(e.where).rpartition(", ")[2] for e in found} == {
        "search.gpus",
        "search.engines",
        "prices.providers",
    }


def test_text_that_is_no_yaml_is_one_problem(catalog, tmp_path):
    (found,) = all_problems("a: [", {}, Path(tmp_path), catalog)
    assert "not valid YAML" in found.what
