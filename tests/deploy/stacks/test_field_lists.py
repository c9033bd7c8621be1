"""A stack's document is held against the fields of its version, and says where the list stops."""

import pytest

from planner.deploy.stacks.fields import field_list
from planner.errors import OutputError

SERVICE = {"model": {"uri": "hf://a/b"}, "replicas": 1, "template": {"containers": []}}


def check(catalog, stack, spec):
    return field_list(catalog.root, stack).unvalidated({"spec": spec}, "x.yaml")


def test_a_pod_template_is_reported_as_unvalidated(catalog):
    assert check(catalog, "kserve", SERVICE) == ("spec.template",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"replica": 1}, "no such field"),
        ({"model": {"name": "a"}}, "required is missing"),
        ({"replicas": "1"}, "type integer"),
        ({"replicas": True}, "type integer"),
        ({"replicas": -1}, "below its minimum"),
        ({"parallelism": {"tensor": 0}}, "below its minimum"),
        ({"model": {"uri": "x", "criticality": "High"}}, "no such field"),  # v1alpha1 had it
        ({"scaling": {"minReplicas": 1}}, "required is missing"),
        ({"baseRefs": [{"nam": "x"}]}, "no such field"),
        ({"storageInitializer": True}, "type object"),
    ],
)
def test_a_field_that_the_version_does_not_have_is_refused(catalog, change, words):
    with pytest.raises(OutputError, match=words) as refused:
        check(catalog, "kserve", {**SERVICE, **change})
    assert "x.yaml, spec." in str(refused.value)


def test_values_of_dynamo_and_of_the_chart_are_bounded(catalog):
    component = {"name": "w", "podTemplate": {}}
    assert check(catalog, "dynamo", {"components": [component]}) == (
        "spec.components[].podTemplate",
    )
    with pytest.raises(OutputError, match="not one of its values"):
        check(catalog, "dynamo", {"components": [{**component, "type": "router"}]})
    with pytest.raises(OutputError, match="required is missing"):
        check(catalog, "dynamo", {"components": [{"name": "w"}]})
    chart = field_list(catalog.root, "production-stack")
    with pytest.raises(OutputError, match="not one of its values"):
        chart.unvalidated({"routerSpec": {"routingLogic": "random"}}, "v.yaml")
    with pytest.raises(OutputError, match="no such field"):
        chart.unvalidated(
            {"servingEngineSpec": {"modelSpec": [{"vllmConfig": {"pipelineParallelSize": 2}}]}}, "v"
        )


@pytest.mark.parametrize("stack", ["kserve", "dynamo", "production-stack"])
def test_every_row_names_its_source(catalog, stack):
    for row in field_list(catalog.root, stack).rows.values():
        assert row.source
        assert row.as_of == "2026-11-29"
