"""The recorded tables agree with one another, and cover every engine version of the catalog."""

import csv

import pytest
from pydantic import BaseModel

from planner.catalog.checkpoints import SpellingRow
from planner.catalog.store import load_catalog
from planner.deploy.engines.command_line import ENGINES
from planner.deploy.engines.dialect import (
    FOLDER,
    ComponentRow,
    DeviceRow,
    Dialect,
    NodeLabelRow,
    OptionRow,
    RuntimeRow,
    SettingRow,
    llm_d_components,
)

CATALOG = load_catalog()
VERSIONS = [(e.name, e.version) for e in CATALOG.engines() if e.name in CATALOG.planned_engines()]
TABLES: dict[str, type[BaseModel]] = {
    "vllm": OptionRow,
    "sglang": OptionRow,
    "tensorrt-llm": OptionRow,
    "settings": SettingRow,
    "formats": SpellingRow,
    "runtimes": RuntimeRow,
    "devices": DeviceRow,
    "node_labels": NodeLabelRow,
    "llm_d": ComponentRow,
}


def dialect(engine, version):
    return Dialect(engine, version, CATALOG.root)


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_the_ones_that_the_readme_lists(table):
    with (CATALOG.root / FOLDER / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert sorted(header) == sorted(TABLES[table].model_fields)
    readme = (CATALOG.root / "README.md").read_text(encoding="utf-8")
    section = "vllm" if TABLES[table] is OptionRow else table
    body = readme.split(f"## {FOLDER}/{section}.csv\n", 1)[1].split("\n## ", 1)[0]
    assert all(f"| `{column}` |" in body for column in header)


@pytest.mark.parametrize(("engine", "version"), VERSIONS)
def test_every_setting_is_an_option_of_its_version(engine, version):
    spoken = dialect(engine, version)
    options = spoken.options()
    takes = {
        "value": {"value"},
        "json": {"value"},
        "flag": {"flag", "switch"},
        "off-flag": {"flag"},
        "switch": {"switch"},
        "config": {"config"},
    }
    for row in spoken.settings().values():
        if row.form != "positional":
            assert row.option in options, f"{engine} {version}: {row.setting}"
            assert options[row.option].takes in takes[row.form], row.setting


@pytest.mark.parametrize(("engine", "version"), VERSIONS)
def test_every_spelling_is_a_value_of_its_version(engine, version):
    spoken = dialect(engine, version)
    options, settings = spoken.options(), spoken.settings()
    carriers = {"weights": "quantization", "kv": "kv_cache", "dtype": "dtype"}
    for fmt in CATALOG.formats():
        for vendor in ("nvidia", "amd"):
            for kind, setting in carriers.items():
                row = spoken._spelling(kind, fmt.name, vendor)
                if row is None or not row.value or (kind == "kv") != (fmt.kind == "kv"):
                    continue
                choices = options[settings[setting].option].choices
                assert not choices or row.value in choices.split(";"), (kind, fmt.name)


@pytest.mark.parametrize(("engine", "version"), VERSIONS)
def test_every_version_has_an_image_for_nvidia_and_a_program(engine, version):
    row = dialect(engine, version).runtime(CATALOG.gpu("h100-sxm-80gb"))
    assert row is not None
    image = row.image.format(version=version)
    assert not image.endswith(":latest")
    assert ":" in image.rpartition("/")[2]
    assert engine in ENGINES


def test_spellings_name_formats_and_labels_name_gpus_of_the_catalog():
    formats = {(f.kind, f.name) for f in CATALOG.formats()}
    kinds = {"weights": "weights", "dtype": "weights", "kv": "kv"}
    with (CATALOG.root / FOLDER / "formats.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert (kinds[row["kind"]], row["format"]) in formats
    gpus = {g.name: g for g in CATALOG.gpus()}
    with (CATALOG.root / FOLDER / "node_labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            vendor = gpus[row["gpu"]].vendor
            assert row["label"].startswith(f"{vendor}.com/")
    for vendor in {g.vendor for g in gpus.values()}:
        assert dialect("vllm", "0.19.0").device(vendor).resource.count("/") == 1


def test_a_later_version_speaks_differently():
    old, new = dialect("vllm", "0.8.5"), dialect("vllm", "0.19.0")
    assert old.kv_cache("bf16", "nvidia") == "auto"
    assert new.kv_cache("bf16", "nvidia") == "bfloat16"
    assert "node_count" not in old.settings()
    assert new.settings()["node_count"].option == "--nnodes"
    assert "--no-enable-prefix-caching" in new.options()


def test_an_unlisted_version_takes_the_newest_not_newer():
    assert dialect("vllm", "0.20.1").options() == dialect("vllm", "0.19.0").options()
    assert dialect("vllm", "99").options() == dialect("vllm", "0.33.0").options()


@pytest.mark.parametrize(
    ("engine", "before", "after", "gone", "new"),
    [
        (
            "vllm",
            "0.25.0",
            "0.33.0",
            (
                "--calculate-kv-scales",
                "--max-num-partial-prefills",
                "--max-long-partial-prefills",
                "--override-attention-dtype",
            ),
            ("--max-num-queued-reqs", "--prefix-match-unit", "--max-num-active-seqs"),
        ),
        (
            "sglang",
            "0.5.15",
            "0.5.23",
            (
                "--cuda-graph-max-bs",
                "--cuda-graph-bs",
                "--mamba-scheduler-strategy",
                "--disable-piecewise-cuda-graph",
                "--nsa-prefill-backend",
            ),
            ("--attn-dp-size", "--speculative-dspark-block-size", "--enable-flexkv"),
        ),
    ],
)
def test_options_that_engines_dropped_and_added(engine, before, after, gone, new):
    """Read from the wheels of the later versions on 2026-11-29."""
    old, late = dialect(engine, before).options(), dialect(engine, after).options()
    assert set(gone) <= set(old)
    assert not set(gone) & set(late)
    assert set(new) <= set(late)
    assert not set(new) & set(old)


def test_vllm_has_46_new_engine_options_by_0_33():
    old, late = dialect("vllm", "0.25.0").options(), dialect("vllm", "0.33.0").options()
    frontend = 8  # of the server in front of the engine
    assert (
        len({r.option for r in late.values()} - {r.option for r in old.values()}) == 46 + frontend
    )


def test_words_that_engines_renamed():
    assert dialect("sglang", "0.5.21").settings()["attention_data_parallel"].form == "flag"
    assert "attention_groups" not in dialect("sglang", "0.5.21").settings()
    assert dialect("sglang", "0.5.23").setting("attention_groups").option == "--attn-dp-size"
    for version, layers, model in (
        ("1.2.0", "num_nextn_predict_layers", "speculative_model_dir"),
        ("1.3.0", "max_draft_len", "speculative_model"),
    ):
        spoken = dialect("tensorrt-llm", version)
        assert spoken.setting("draft_layers").option == f"speculative_config.{layers}"
        assert spoken.setting("draft_model").option == f"speculative_config.{model}"
    assert "tensorrt" in dialect("tensorrt-llm", "1.2.0").options()["--backend"].choices.split(";")
    assert "tensorrt" not in dialect("tensorrt-llm", "1.3.0").options()["--backend"].choices


def test_llm_d_is_pinned():
    for row in llm_d_components(CATALOG.root).values():
        assert any(c.isdigit() for c in row.version)
        assert row.version not in ("main", "latest", "v0")
