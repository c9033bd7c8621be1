"""llm-d's workload variant autoscaler: its object and thresholds, and the autoscaler that follows it.

Fields as in its API reference (``llmd.ai/v1alpha1``); no field list of a version is recorded, so that what is
written is marked as not validated.
"""

from __future__ import annotations

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import most_replicas
from planner.deploy.cluster.labels import metadata, scale_target
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest
from planner.serving.autoscaling.parameters import AutoscalerRow, ScalingRule

NOT_VALIDATED = (
    "# Not validated: written from the API reference of llmd.ai/v1alpha1, of which no field list is "
    "recorded.\n"
)
DESIRED = "inferno_desired_replicas"


def variant_autoscaling_text(launch: Launch, choices: Choices, row: AutoscalerRow) -> str:
    """The objects of one replica group, with a word that they are not validated."""
    objects = [_variant(launch), *_thresholds(row), _follower(launch, choices, row)]
    return NOT_VALIDATED + to_yaml_stream(objects)


def _variant(launch: Launch) -> Manifest:
    return {
        "apiVersion": "llmd.ai/v1alpha1",
        "kind": "VariantAutoscaling",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch),
            "modelID": launch.served_name,
            "variantID": f"{launch.served_name}-{launch.gpu.name}-{launch.gpus}",
            "accelerator": launch.gpu.name,
            "acceleratorCount": launch.gpus,
        },
    }


def _thresholds(row: AutoscalerRow) -> list[Manifest]:
    rule = row.saturation
    if rule is None:
        return []
    values = {
        "kvCacheThreshold": rule.kv_threshold,
        "queueLengthThreshold": round(rule.queue_threshold),
        "kvSpareTrigger": rule.kv_spare,
        "queueSpareTrigger": round(rule.queue_spare),
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "capacity-scaling-config",
                "namespace": "workload-variant-autoscaler-system",
            },
            "data": {"default": to_yaml(values)},
        }
    ]


def _follower(launch: Launch, choices: Choices, row: AutoscalerRow) -> Manifest:
    metric = {
        "metric": {
            "name": DESIRED,
            "selector": {"matchLabels": {"variant_name": launch.name}},
        },
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch),
            "minReplicas": launch.least_replicas,
            "maxReplicas": most_replicas(launch, choices),
            "behavior": {"scaleUp": _rule(row.scale_up), "scaleDown": _rule(row.scale_down)},
            "metrics": [{"type": "External", "external": metric}],
        },
    }


def _rule(rule: ScalingRule) -> Manifest:
    policies = [{"type": "Pods", "value": rule.pods, "periodSeconds": round(rule.period_s)}]
    return {"stabilizationWindowSeconds": round(rule.window_s), "policies": policies}
