"""Documents of a stack read back: what each workload would start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from planner.deploy.cluster.labels import INSTANCE
from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.manifest import Stated
from planner.deploy.reading import Started, started_of_pod
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.deploy.stacks.fields import value_rows

Object = Stated  # of a file that is read back


def documents(files: Mapping[str, str], suffix: str) -> Iterator[tuple[str, Object]]:
    """Every document of the files that end so, with the file's name."""
    for name, text in files.items():
        if name.endswith(suffix):
            for item in read_yaml_stream(text):
                yield name, item


def read_kserve(files: Mapping[str, str], _root: Path) -> Iterator[Started]:
    """The processes of LLMInferenceServices."""
    for _, item in documents(files, kserve.SUFFIX):
        if item["kind"] != "LLMInferenceService":
            continue
        spec = item["spec"]
        for pool in (spec, spec["prefill"]) if "prefill" in spec else (spec,):
            degrees = pool["parallelism"]
            stages = degrees.get("pipeline", 1)
            nodes = degrees["data"] // degrees["dataLocal"] if "data" in degrees else stages
            nodes = nodes if "worker" in pool else 1
            replicas = pool["scaling"]["minReplicas"] if "scaling" in pool else pool["replicas"]
            for template in ("template", "worker"):
                if template in pool:
                    yield started_of_pod(
                        pool["labels"][INSTANCE],
                        pool[template],
                        replicas,
                        nodes,
                        serves=template == "template",
                    )


def read_dynamo(files: Mapping[str, str], _root: Path) -> Iterator[Started]:
    """The processes of DynamoGraphDeployments, with the engine's own words."""
    for _, item in documents(files, dynamo.SUFFIX):
        for component in item["spec"]["components"]:
            if component["type"] == "frontend":
                continue
            template = component["podTemplate"]
            read = started_of_pod(
                template["metadata"]["labels"][INSTANCE],
                template["spec"],
                component["replicas"],
                component.get("multinode", {}).get("nodeCount", 1),
                serves=True,
            )
            yield Started(
                read.name,
                _engine_words(read.words, item["spec"]["backendFramework"]),
                read.config,
                read.replicas,
                read.gpus,
                read.nodes,
                read.image,
                read.serves,
                read.resource,
            )


def _engine_words(words: tuple[str, ...], framework: str) -> tuple[str, ...]:
    """Dynamo's own options undone: the model as the engine takes it, and no pool for vLLM."""
    found = list(words)
    at = found.index(dynamo.MODEL_OPTION) if dynamo.MODEL_OPTION in found else None
    if at is not None:
        found.pop(at)
    if framework == "vllm" and dynamo.POOL_OPTION in found:
        at = found.index(dynamo.POOL_OPTION)
        del found[at : at + 2]
    return tuple(found)


def read_production_stack(files: Mapping[str, str], root: Path) -> Iterator[Started]:
    """The processes that the chart makes of its values."""
    options = {row.field: row.option for row in value_rows(root)}
    for name, text in files.items():
        if not name.endswith(production_stack.VALUES):
            continue
        for model in yaml.safe_load(text)["servingEngineSpec"]["modelSpec"]:
            config = dict(model["vllmConfig"])
            extra = [word.replace("$$", "$") for word in config.pop("extraArgs")]
            words = [model["modelURL"]]
            for field, value in config.items():
                stem = options[field].removeprefix("--")
                if isinstance(value, bool):
                    words.append(f"--{stem}" if value else f"--no-{stem}")
                else:
                    words += [options[field], str(value)]
            lora = ["--enable-lora"] if model.get("enableLoRA") else []
            yield Started(
                name=model["name"],
                words=(*words, *lora, *extra),
                config=None,
                replicas=model["replicaCount"],
                gpus=model["requestGPU"],
                nodes=1,
                image=f"{model['repository']}:{model['tag']}",
                serves=True,
                resource=model["requestGPUType"],
            )
