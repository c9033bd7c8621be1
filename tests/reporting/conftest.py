import plan_builder as build
import pytest
from findings_builder import findings_for


@pytest.fixture
def findings():
    return findings_for(build.plan())


@pytest.fixture
def hostile():
    """A plan whose every name tries something."""
    text = '<script>alert("x")</script>'
    formula = '=HYPERLINK("http://evil.example","click")'
    question = build.scenario(name=text, model=formula)
    return findings_for(
        build.plan(
            question,
            groups=(build.group(gpu="@SUM(A1)", engine="-2+3", weights="$x^2$"),),
            nodes=(
                build.node(
                    provider=formula,
                    instance_type=text,
                    price_source='javascript:alert("y")',
                    gpu="+1+1",
                ),
            ),
            assumptions=("=1+1", "| a | b |", "![x](http://evil.example/a.png)"),
            warnings=("<img src=x onerror=alert(1)>",),
        )
    )
