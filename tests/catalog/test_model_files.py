"""``model:`` may be a catalog name, an alias, a config.json or its folder; all else is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from planner.catalog.model_files import MAX_CONFIG_BYTES
from planner.catalog.store import Catalog, load_catalog
from planner.errors import CatalogError, InputError
from planner.sizing.parameters import count_parameters

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def written(folder: Path, content: object, name: str = "config.json") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_config_and_its_folder_are_the_same_model(tmp_path: Path, catalog: Catalog) -> None:
    path = written(tmp_path / "my-model", LLAMA)
    by_file, by_folder = catalog.model(str(path)), catalog.model(str(path.parent))
    assert by_file == by_folder
    assert by_file.name == "my-model"
    assert len(by_file.layers) == 2


def test_another_file_name_names_the_model(tmp_path: Path, catalog: Catalog) -> None:
    assert catalog.model(str(written(tmp_path, LLAMA, "tiny.json"))).name == "tiny"


def test_a_catalog_model_is_read_once_and_carries_its_source(catalog: Catalog) -> None:
    model = catalog.model("META-LLAMA/meta-llama-3-70b-instruct")
    assert model is catalog.model("meta-llama/Meta-Llama-3-70B-Instruct")
    assert model.source.startswith("https://")


@pytest.mark.parametrize("name", ["llama-3-70b-instrct", "deepseek-v4", "qwen3-32"])
def test_an_unknown_name_gives_near_ones(catalog: Catalog, name: str) -> None:
    with pytest.raises(InputError, match="did you mean") as caught:
        catalog.model(name)
    assert caught.value.found == name


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "mamba-2.8b",
            "did you mean 'state-spaces/mamba-2.8b-hf'? Or give the path of its config.json",
        ),
        ("xyz", "list them with: planner catalog models, or give the path of its config.json"),
    ],
)
def test_an_unknown_model_may_be_given_by_its_file(
    catalog: Catalog, name: str, advice: str
) -> None:
    with pytest.raises(InputError) as caught:
        catalog.model(name)
    assert caught.value.action == advice


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1, 2]", "not a model config"),
        ("[" * 100_000, "nested too deeply"),
        ({**LLAMA, "architectures": ["TimeMachineForCausalLM"]}, "TimeMachineForCausalLM"),
        ({k: v for k, v in LLAMA.items() if k != "num_hidden_layers"}, "num_hidden_layers"),
        ({**LLAMA, "num_hidden_layers": -1}, "num_hidden_layers"),
        ("x" * (MAX_CONFIG_BYTES + 1), "too large"),
    ],
    ids=["empty", "cut", "list", "deep", "architecture", "missing", "negative", "huge"],
)
def test_a_bad_config_gives_one_clear_message(
    tmp_path: Path, catalog: Catalog, content: object, what: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=what) as caught:
        catalog.model(str(path))
    assert str(path) in str(caught.value.where)


def test_missing_files_are_said(tmp_path: Path, catalog: Catalog) -> None:
    for missing in (
        tmp_path,
        tmp_path / "absent.json",
        tmp_path / "absent",
        "./absent",
        "~/absent",
    ):
        with pytest.raises(InputError, match="no such file"):
            catalog.model(str(missing))


@pytest.fixture
def copy(tmp_path: Path, catalog: Catalog) -> Catalog:
    """A catalog folder of two models that a test may break."""
    models = tmp_path / "models"
    models.mkdir()
    lines = (catalog.root / "models" / "index.csv").read_text(encoding="utf-8").splitlines()[:3]
    (models / "index.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        shutil.copy(catalog.root / "models" / line.split(",")[1], models)
    return Catalog(tmp_path)


def test_a_broken_shipped_config_is_a_catalog_error(copy: Catalog) -> None:
    file = copy.root / "models" / copy.model_index()[0].file
    file.write_text(json.dumps({**LLAMA, "num_hidden_layers": 0}))
    with pytest.raises(CatalogError) as caught:
        copy.model(copy.model_names()[0])
    assert caught.value.exit_code == 4


def test_a_name_given_twice_is_a_catalog_error(copy: Catalog) -> None:
    index = copy.root / "models" / "index.csv"
    first, second = copy.model_index()
    index.write_text(index.read_text().replace(f"{second.name},", f"{first.name.upper()},", 1))
    with pytest.raises(CatalogError, match="twice"):
        Catalog(copy.root).model_index()


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("BAAI/bge-m3", 568),
        ("BAAI/bge-reranker-v2-m3", 568),
        ("BAAI/bge-reranker-base", 278),
        ("BAAI/bge-large-en-v1.5", 335),
        ("intfloat/e5-mistral-7b-instruct", 7111),
        ("Qwen/Qwen3-Embedding-4B", 4022),
        ("Qwen/Qwen3-Reranker-0.6B", 596),
    ],
)
def test_embedding_and_reranking_models_have_their_published_sizes(catalog, name, millions):
    total = count_parameters(catalog.model(name)).total
    assert total / 1e6 == pytest.approx(millions, rel=0.002)
