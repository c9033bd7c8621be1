"""A bad file ends in words: what, where, found, allowed, next; never a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_fleets import LLAMA, answer, container, dump, listed, workload

from planner.catalog.store import load_catalog
from planner.errors import PlannerError
from planner.importing.scenario_text import scenario_text
from planner.importing.services import imported_services
from planner.importing.sources import read_fleet

CATALOG = load_catalog()
BAD = {
    "empty": ("", "no known engine, metric or GPU"),
    "prose": ("hello world\n", "no known engine, metric or GPU"),
    "a list of numbers": ("[1, 2, 3]", "no known engine, metric or GPU"),
    "other metrics": ("# TYPE up gauge\nup 1\n", "no known engine, metric or GPU"),
    "other objects": ("kind: Service\nmetadata: {name: x}\n", "1 Service"),
    "half a JSON": ('{"status": "success", "data"', "not valid JSON"),
    "an error answer": ('{"status": "error", "data": {"resultType": "x"}}', "not a successful answer"),
    "a scalar answer": ('{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}',
                        "no time series"),
    "a matrix without values": ('{"status": "success", "data": {"resultType": "matrix", "result": [3]}}',
                                "not a time series"),
    "a rate without a name": (answer(({}, [(1, 2), (2, 3)])), "series without a metric's name"),
    "a sample that is none": ("# TYPE x counter\nvllm:request_success_total{a=\"b\"} many\n",
                              "not a sample"),
    "an alias bomb": ("a: &a [1,1]\nb: [*a,*a]\n", "aliases are not read"),
    "a Python object": ("!!python/object/apply:os.system ['touch pwned']\n", "not valid YAML"),
    "deep nesting": ("[" * 500 + "]" * 500, "not valid YAML"),
    "deep mappings": ("x: " + "{a: " * 100 + "1" + "}" * 100, "too deeply nested"),
    "bad YAML": ("a: [1, 2\nb: 3", "not valid YAML"),
    "binary": ("\x00\x01", "NUL"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_in_words(kind, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, words = BAD[kind]
    code, out, err = run({"bad.txt": text})
    assert code == 2, err
    assert out == ""
    assert words in err or kind == "deep nesting"
    assert "Traceback" not in err
    assert "internal error" not in err
    assert not (tmp_path / "pwned").exists()


def test_options_are_checked(run, tmp_path):
    texts = {"m.prom": dump()}
    for options, words in (
        (("--over", "soon"), "not a duration"),
        (("--over", "0s"), "not a duration"),
        (("--model", "x"), "needs NAME=VALUE"),
        (("--model", "a=No/Such-Model"), "no such model"),
        (("--before", "missing.prom"), "no such file"),
        (("--rate", "m.prom"), "not valid JSON"),
    ):
        code, _, err = run(texts, *options)
        assert code == 2, options
        assert words in err
    code, _, err = run(texts, "-o", str(tmp_path / "m.prom"))
    assert code == 2
    assert "the file exists already" in err
    two = {**texts, "n.prom": dump(model="meta-llama/Meta-Llama-3-8B-Instruct")}
    (tmp_path / "rate.json").write_text(answer(({}, [(0, 1.0), (60, 2.0)])))
    code, _, err = run(two, "--rate", "rate.json")
    assert code == 2
    assert "belongs to one model" in err


def test_large_files_are_refused_by_size(run, monkeypatch):
    monkeypatch.setattr("planner.importing.sources.MAX_MANIFEST_BYTES", 1000)
    monkeypatch.setattr("planner.importing.sources.MAX_METRICS_BYTES", 5000)
    fleet = listed(*(workload(container(["vllm", "serve", LLAMA])) for _ in range(5)))
    code, _, err = run({"f.yaml": fleet})
    assert code == 2
    assert "too large" in err
    assert "kubectl get deploy,sts,lws,nodes" in err
    assert run({"m.prom": dump() * 10})[0] == 2


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(value, path=()):
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


FLEET = {
    "kind": "List",
    "items": [
        workload(container(["vllm", "serve", LLAMA, "--tensor-parallel-size", "4"])),
        {
            "kind": "Node",
            "metadata": {"labels": {}},
            "status": {"capacity": {"nvidia.com/gpu": "8"}},
        },
    ],
}
PLACES = list(_places(FLEET))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PLACES), JUNK)
def test_any_value_anywhere_is_read_or_refused(tmp_path_factory, place, junk):
    changed = json.loads(json.dumps(FLEET))
    at = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = junk
    path = tmp_path_factory.mktemp("fleet") / "fleet.json"
    path.write_text(json.dumps(changed))
    try:
        fleet = read_fleet([str(path)], CATALOG)
        services = imported_services(fleet, CATALOG, {})
        scenario_text(fleet, services, CATALOG, "x")
    except PlannerError:
        return


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "any.txt"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PlannerError):
        read_fleet([str(path)], CATALOG)


def test_lists_of_lists_end(run):
    text = '{"kind": "List", "items": [' * 200 + "]}" * 200
    code, _, err = run({"deep.json": text})
    assert code == 2
    assert "internal error" not in err
