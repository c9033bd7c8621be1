"""What pods ask of their nodes: a shared model cache, CPUs, memory and disk, and a spread."""

import plan_builder as build
import pytest
from launch_plans import DEEPSEEK, fleet, group, service
from launch_reader import objects, script, written

from planner.cli.main import main
from planner.errors import InputError


def pod(files, kind="Deployment"):
    (found,) = objects(files, kind)
    return found["spec"]["template"]["spec"]


def test_no_pod_keeps_the_whole_checkpoint_on_its_own_disk(catalog):
    files = written(fleet(service("chat", (group(replicas=5),))), catalog, "kubernetes")
    (claim,) = objects(files, "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "chat-models"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    # Llama 70B in BF16 is 141.1 GB: 1.2 times that in GiB
    assert claim["spec"]["resources"]["requests"]["storage"] == "158Gi"
    volumes = {v["name"]: v for v in pod(files)["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"] == {"claimName": "chat-models"}
    requests = pod(files)["containers"][0]["resources"]["requests"]
    # 2 + 4 cores; 4 + 4 x 4 GiB and four files of 5 GB being read; scratch alone on the node
    assert requests["cpu"] == "6"
    assert requests["memory"] == "39Gi"
    assert requests["ephemeral-storage"] == "10Gi"
    assert pod(files)["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "4"}
    assert "chat.models.yaml" in files["kustomization.yaml"]


def test_a_checkpoint_on_the_nodes_disk_is_requested(catalog):
    plan = fleet(service("chat", (group(),)))
    files = written(plan, catalog, "kubernetes", model_cache="ephemeral")
    assert not objects(files, "PersistentVolumeClaim")
    volumes = {v["name"]: v for v in pod(files)["volumes"]}
    assert volumes["models"]["emptyDir"] == {"sizeLimit": "158Gi"}
    requests = pod(files)["containers"][0]["resources"]["requests"]
    assert requests["ephemeral-storage"] == "168Gi"


def test_weights_made_at_load_are_downloaded_in_their_own_format(catalog):
    plan = fleet(service("chat", (group(weights="fp8"),)))
    (claim,) = objects(written(plan, catalog, "kubernetes"), "PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == "158Gi"


def test_a_storage_class_can_be_named(catalog):
    plan = fleet(service("chat", (group(),)))
    files = written(plan, catalog, "llm-d", storage_class="shared-files")
    (claim,) = objects(files, "PersistentVolumeClaim")
    assert claim["spec"]["storageClassName"] == "shared-files"
    with pytest.raises(InputError, match="storage class"):
        written(plan, catalog, "llm-d", storage_class="No Such")


def test_one_pod_alone_needs_no_shared_volume(catalog):
    plan = fleet(service("chat", (group(replicas=1),)))
    files = written(plan, catalog, "kubernetes", autoscaler="none", burst=1.0)
    (claim,) = objects(files, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "topologySpreadConstraints" not in pod(files)


def test_a_checkpoint_can_come_as_an_image(catalog):
    plan = fleet(service("chat", (group(),)))
    image = "registry.example/models/llama:3.0"
    files = written(plan, catalog, "kubernetes", model_images={"chat": image})
    volumes = {v["name"]: v for v in pod(files)["volumes"]}
    assert volumes["checkpoint"]["image"]["reference"] == image
    (container,) = pod(files)["containers"]
    assert container["args"][0] == "/checkpoint"
    assert {"name": "checkpoint", "mountPath": "/checkpoint", "readOnly": True} in container[
        "volumeMounts"
    ]
    assert container["resources"]["requests"]["ephemeral-storage"] == "11Gi"
    assert not objects(files, "PersistentVolumeClaim")
    with pytest.raises(InputError, match="only a cluster mounts"):
        written(plan, catalog, "vllm", model_images={"chat": image})
    with pytest.raises(InputError, match="not pinned"):
        written(plan, catalog, "kubernetes", model_images={"chat": "models/llama:latest"})
    with pytest.raises(InputError, match="no such service"):
        written(plan, catalog, "kubernetes", model_images={"chats": image})


def test_each_node_of_a_replica_asks_for_its_own_share(catalog):
    wide = group(
        replicas=1, tensor_parallel=1, data_parallel=16, expert_parallel=16, weights="fp8_block"
    )
    files = written(fleet(service("v3", (wide,), DEEPSEEK)), catalog, "kubernetes")
    (workers,) = objects(files, "LeaderWorkerSet")
    both = workers["spec"]["leaderWorkerTemplate"]
    for template in ("leaderTemplate", "workerTemplate"):
        spec = both[template]["spec"]
        requests = spec["containers"][0]["resources"]["requests"]
        assert (requests["cpu"], requests["nvidia.com/gpu"]) == ("10", "8")
        assert "topologySpreadConstraints" not in spec


def test_zones_that_may_be_lost_are_spread_over_strictly(catalog):
    plan = fleet(service("chat", (group(replicas=4),)))

    def strictness(of):
        spread = pod(written(of, catalog, "kubernetes"))["topologySpreadConstraints"]
        return {s["topologyKey"]: s["whenUnsatisfiable"] for s in spread}

    zone, host = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
    assert strictness(plan) == {host: "ScheduleAnyway", zone: "ScheduleAnyway"}
    failures = plan.scenario.failures.model_copy(update={"zones": 1})
    scenario = plan.scenario.model_copy(update={"failures": failures})
    assert strictness(plan.model_copy(update={"scenario": scenario}))[zone] == "DoNotSchedule"


@pytest.mark.parametrize("target", ["kubernetes", "llm-d", "docker-compose"])
@pytest.mark.parametrize(
    ("provider", "instance", "words"),
    [
        ("runpod", "H100 SXM", "runpod rents containers, not machines"),
        ("sfcompute", "H100", "whether sfcompute can"),
    ],
)
def test_a_provider_that_cannot_host_the_files_is_named_in_them(
    catalog, target, provider, instance, words
):
    offer = next(o for o in catalog.offers() if o.provider == provider)
    node = build.node(
        provider=provider, instance_type=offer.instance_type, region=offer.region, count=4
    )
    files = written(fleet(service("chat", (group(replicas=2),)), nodes=(node,)), catalog, target)
    assert words in files["README.md"]
    assert all(t.startswith("# ") and words in t for n, t in files.items() if n.endswith(".yaml"))
    machines = written(fleet(service("chat", (group(replicas=2),))), catalog, target)
    assert words not in "".join(machines.values())


def test_scripts_run_in_a_rented_container(catalog):
    node = build.node(provider="runpod", count=4)
    files = written(fleet(service("chat", (group(),)), nodes=(node,)), catalog, "vllm")
    assert "rents containers" not in files["README.md"]
    assert "vllm serve" in script(files)


def test_the_command_line_takes_the_model_cache(tmp_path, capsys):
    path = tmp_path / "plan.json"
    path.write_text(fleet(service("chat", (group(),))).to_json())
    words = ["deploy", str(path), "--target", "kubernetes", "-o", str(tmp_path / "out")]
    assert main([*words, "--model-cache", "ephemeral"]) == 0
    assert not (tmp_path / "out" / "chat.models.yaml").exists()
    assert main([*words, "--force", "--storage-class", "shared-files"]) == 0
    assert "storageClassName: shared-files" in (tmp_path / "out" / "chat.models.yaml").read_text()
    assert main([*words, "--force", "--model-image", "chat=r.example/llama:1"]) == 0
    assert "reference: r.example/llama:1" in (tmp_path / "out" / "chat.group.yaml").read_text()
    capsys.readouterr()
