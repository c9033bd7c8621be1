"""The store finds names, aliases and versions, and says what is near when it does not."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog, load_catalog
from planner.errors import CatalogError, InputError


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize("name", ["h100-sxm-80gb", "H100-SXM-80GB", "h100"])
def test_gpu_is_found_by_name_alias_and_case(catalog: Catalog, name: str) -> None:
    assert catalog.gpu(name).name == "h100-sxm-80gb"


def test_unknown_gpu_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="h200-sxm-141gb") as caught:
        catalog.gpu("h200-sxm-141g")
    assert caught.value.exit_code == 2


def test_unknown_engine_lists_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="vllm, sglang, tensorrt-llm"):
        catalog.engine("llama.cpp")


@pytest.mark.parametrize(
    ("wanted", "defaults_of"),
    [("0.19.0", ""), ("v0.12.0rc1", ""), ("0.18.0", "0.17.0"), ("0.10.0", "0.9.2")],
)
def test_the_nearest_older_version_is_in_for_one_that_is_not_listed(
    catalog: Catalog, wanted: str, defaults_of: str
) -> None:
    engine = catalog.engine("vllm", wanted)
    assert engine.defaults_of == defaults_of
    if defaults_of:
        assert engine.version == wanted  # rules are judged at the version that was requested
        assert engine.memory == catalog.engine("vllm", defaults_of).memory


def test_a_version_older_than_every_listed_one_is_refused(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="older") as caught:
        catalog.engine("vllm", "0.1")
    assert "0.6.6" in str(caught.value)
    assert catalog.engine("vllm", "0.1", oldest_instead=True).defaults_of == "0.6.6"


def test_a_version_without_numbers_is_the_newest(catalog: Catalog) -> None:
    newest = [spec for spec in catalog.engines() if spec.name == "vllm"][-1]
    assert catalog.engine("vllm", "nightly-dev") == newest


def test_engine_alias(catalog: Catalog) -> None:
    assert catalog.engine("trtllm", "1.0.0rc3").name == "tensorrt-llm"


def test_format_aliases(catalog: Catalog) -> None:
    assert catalog.weight_format("AWQ") == catalog.weight_format("int4")
    assert catalog.kv_format("auto") == catalog.kv_format("bf16")
    with pytest.raises(InputError, match="fp8_block"):
        catalog.weight_format("fp8_blok")


def test_digest_is_stable_and_follows_the_content(catalog: Catalog, tmp_path) -> None:
    assert catalog.digest() == load_catalog().digest()
    (tmp_path / "gpus.csv").write_text("name\n")
    before = Catalog(tmp_path).digest()
    (tmp_path / "gpus.csv").write_text("name\nx\n")
    assert Catalog(tmp_path).digest() != before


def test_missing_folder_is_a_catalog_error(tmp_path) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path / "nowhere")
    assert caught.value.exit_code == 4
