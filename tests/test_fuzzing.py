"""The readers of scenarios, plans, configs, traces and prices on whatever hypothesis thinks of.

Short here; ten minutes with ``-m slow``.
"""

import contextlib
import json

import bad_inputs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.catalog.model_files import load_model_file
from planner.catalog.offer_rows import read_offers
from planner.errors import InputError
from planner.plan.schema import read_plan
from planner.scenario.examination import examined
from planner.scenario.text.yaml_source import parse_source
from planner.workload.trace import read_trace
from planner.workload.trace_statistics import describe

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["8k", "20/s", "1s", "all", "auto", "l4", "h100", "spot"])
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
SHORT = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    max_examples=20_000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def grown_from(document):
    """The document with fields replaced by anything, at any depth."""
    if isinstance(document, dict):
        return st.fixed_dictionaries(
            {k: st.one_of(st.just(v), grown_from(v), TREES) for k, v in document.items()},
            optional={"extra": TREES},
        )
    if isinstance(document, list):
        return st.lists(st.one_of(*(grown_from(v) for v in document), TREES), max_size=4)
    return st.one_of(st.just(document), TREES)


SCENARIOS = grown_from(yaml.safe_load(bad_inputs.SCENARIO)).map(
    lambda tree: yaml.safe_dump(tree, allow_unicode=True)
)
CONFIGS = grown_from(json.loads(bad_inputs.CONFIG)).map(json.dumps)
CELLS = st.text(max_size=8) | st.integers().map(str) | st.floats().map(str)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=9).map(",".join), max_size=6).map("\n".join)


def read_as_scenario(catalog, text):
    _, problems = examined(parse_source(text, "my.yaml"), None, "my", catalog)
    for problem in problems:
        assert str(problem)


READERS = {
    "scenario": (SCENARIOS | st.text(), None, read_as_scenario),
    "plan": (
        TREES.map(json.dumps) | grown_from({"schema_version": 2, "scenario": {}}).map(json.dumps),
        "p.json",
        lambda _catalog, path: read_plan(path),
    ),
    "config": (
        CONFIGS | st.text(),
        "config.json",
        lambda _catalog, path: load_model_file(path),
    ),
    "trace": (
        st.one_of(
            ROWS.map(lambda rows: f"arrival_s,prompt_tokens,output_tokens\n{rows}"),
            TREES.map(json.dumps),
            st.text(),
        ),
        "t.csv",
        lambda _catalog, path: describe(read_trace(str(path))),
    ),
    "prices": (
        ROWS.map(lambda rows: f"{bad_inputs.PRICES}{rows}") | st.text(),
        "own.csv",
        lambda _catalog, path: read_offers(path, InputError),
    ),
}


def tried(kind, how, catalog, folder):
    texts, name, read = READERS[kind]

    @how
    @given(texts)
    def each(text):
        at = text
        if name is not None:
            at = folder / name
            at.write_bytes(text.encode("utf-8", "surrogatepass"))
        with contextlib.suppress(InputError):
            read(catalog, at)

    each()


@pytest.mark.parametrize("kind", READERS)
def test_readers_refuse_or_read(kind, catalog, tmp_path):
    tried(kind, SHORT, catalog, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", READERS)
def test_readers_refuse_or_read_for_long(kind, catalog, tmp_path):
    tried(kind, LONG, catalog, tmp_path)
