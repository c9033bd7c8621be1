"""Rate, lengths, hit share, GPUs and percentiles from Prometheus dumps and query answers."""

import math

import pytest
import yaml
from running_fleets import LLAMA, answer, dcgm, dump

from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source
from planner.workload.lengths import lengths_of


def scenario(text):
    return validate(parse_source(text, "x"))


def service(text):
    (found,) = scenario(text).services
    return found


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_dump_becomes_a_scenario(run, engine):
    code, out, err = run({"m.prom": dump(engine)}, "--over", "24h")
    assert code == 0, err
    found = service(out)
    assert found.model == LLAMA
    assert found.rate == 1.0
    assert found.assumptions.prefix_hit_share == 0.25
    lengths = lengths_of(found)
    assert lengths.mean_prompt == pytest.approx(760, rel=0.01)
    assert lengths.mean_output == pytest.approx(210, rel=0.01)
    assert (lengths.prompt > 1000).mean() == pytest.approx(0.2, abs=0.01)
    targets = {t.key: t.seconds for t in found.slo.targets}
    # the 99th lies in the bucket up to 2.5 s, the middle of its two points
    assert targets == {"ttft_p99": pytest.approx(1.8), "itl_p99": pytest.approx(0.095)}
    assert "# today: ttft p50 250ms, p95 812.5ms, p99 1.75s" in out
    assert "warning" not in err


def test_replicas_are_added_up(run):
    texts = {f"{pod}.prom": dump(pod=pod) for pod in "abc"}
    assert service(run(texts, "--over", "1d")[1]).rate == 3.0


def test_an_earlier_dump_is_subtracted(run, tmp_path):
    (tmp_path / "old.prom").write_text(dump(scale=3))
    code, out, _ = run({"m.prom": dump(scale=4)}, "--before", "old.prom", "--over", "12h")
    assert code == 0
    assert service(out).rate == 2.0
    assert lengths_of(service(out)).mean_prompt == pytest.approx(760, rel=0.01)


def test_a_single_dump_without_a_time_says_that_the_rate_is_assumed(run):
    code, out, err = run({"m.prom": dump()})
    assert code == 0
    assert "rate: 10  # ASSUMED: not in the files" in out
    assert "assumed, not in the files: rate: 10" in err


def test_a_dump_with_times_counts_from_the_start_of_the_process(run):
    text = dump().replace("pod=", "job=").splitlines()
    timed = [line if line.startswith("#") else f"{line} 1764460800000" for line in text]
    timed.append("process_start_time_seconds 1764374400")
    assert service(run({"m.prom": "\n".join(timed)})[1]).rate == 1.0


START = 1_764_547_200.0  # a Monday, midnight UTC


def counter(days, step_s=600.0, reset_at=None):
    total, points = 0.0, []
    for k in range(int(days * 86_400 / step_s) + 1):
        at = START + k * step_s
        if reset_at is not None and k == reset_at:
            total = 0.0
        points.append((at, total))
        total += step_s * (10 + 5 * math.sin(2 * math.pi * ((at / 3600) % 24) / 24))
    return {"__name__": "vllm:request_success_total", "model_name": LLAMA}, points


@pytest.mark.parametrize(("days", "hours"), [(1, 24), (7, 168)])
def test_a_rate_over_time_becomes_a_profile(run, days, hours):
    code, out, _ = run({"r.json": answer(counter(days))})
    assert code == 0
    found = service(out)
    assert found.rate == pytest.approx(10, rel=0.01)
    assert len(found.load.hourly) == hours
    assert max(found.load.hourly[:24]) == pytest.approx(15, rel=0.02)
    assert found.load.hourly.index(max(found.load.hourly[:24])) in (5, 6)
    assert 1 <= found.load.peak_ratio < 1.2


def test_less_than_a_day_is_a_mean_alone(run):
    out = run({"r.json": answer(counter(0.25))})[1]
    assert service(out).load is None or service(out).load.hourly is None


def test_a_counter_that_began_again_is_no_negative_rate(run):
    whole = service(run({"r.json": answer(counter(1))})[1])
    found = service(run({"s.json": answer(counter(1, reset_at=70))})[1])
    assert found.rate == pytest.approx(whole.rate, rel=0.02)


def test_a_rate_by_itself_can_be_given(run, tmp_path):
    points = [(START + 3600 * k, 2.0 + k % 24) for k in range(48)]
    (tmp_path / "rate.json").write_text(answer(({}, points)))
    out = run({"m.prom": dump()}, "--rate", "rate.json")[1]
    assert service(out).rate == pytest.approx(13.5)
    assert service(out).load.hourly[0] == 2.0


def test_gpus_that_dcgm_sees_are_the_existing_fleet(run):
    out = run({"m.prom": dump(), "d.prom": dcgm(hosts=3)}, "--over", "24h")[1]
    (existing,) = scenario(out).existing
    assert (existing.gpu, existing.nodes, existing.gpus_per_node) == ("h100-sxm-80gb", 3, 8)
    assert "# DCGM GPU utilization: 50%, mean of 24 GPUs." in out


def test_two_models_are_two_services(run):
    other = dump(model="meta-llama/Meta-Llama-3-8B-Instruct", scale=2)
    found = scenario(run({"a.prom": dump(), "b.prom": other}, "--over", "24h")[1]).services
    assert {s.model: s.rate for s in found} == {
        LLAMA: 1.0,
        "meta-llama/Meta-Llama-3-8B-Instruct": 2.0,
    }


def test_a_served_name_can_be_said(run):
    text = dump(model="prod-chat")
    code, _, err = run({"m.prom": text}, "--over", "24h")
    assert code == 2
    assert "no such model in the catalog" in err
    out = run({"m.prom": text}, "--over", "24h", "--model", f"prod-chat={LLAMA}")[1]
    assert service(out).model == LLAMA


def test_totals_alone_give_a_mean(run):
    lines = [
        f'sglang:num_requests_total{{model_name="{LLAMA}"}} 100',
        f'sglang:prompt_tokens_total{{model_name="{LLAMA}"}} 50000',
        f'sglang:generation_tokens_total{{model_name="{LLAMA}"}} 20000',
    ]
    code, out, err = run({"m.prom": "\n".join(lines)}, "--over", "100s")
    assert code == 0
    assert "prompt_tokens: 500  # measured mean; ASSUMED" in out
    assert "not in the files: how lengths vary (output_tokens: 200: measured mean)" in err
    assert "not in the files: output_tokens" not in err
    yaml.safe_load(out)


def test_names_without_colons_are_the_same_metrics(run):
    """What an OpenTelemetry collector passes on has no colons in its names."""
    plain = run({"m.prom": dump().replace("vllm:", "vllm_")}, "--over", "24h")[1]
    assert plain == run({"m.prom": dump()}, "--over", "24h")[1]


def test_a_histogram_without_an_end_gives_its_mean(run):
    lines = dump().splitlines()
    open_end = [
        line for line in lines if "request_prompt_tokens_bucket" not in line or 'le="+Inf"' in line
    ]
    out = run({"m.prom": "\n".join(open_end)}, "--over", "24h")[1]
    assert lengths_of(service(out)).mean_prompt == pytest.approx(760, rel=0.01)
    assert "measured mean; ASSUMED: not in the files: how lengths vary" in out


def test_a_series_with_a_gap_is_added_to_the_others(run):
    """One of two equal servers was not scraped for two hours: its requests there are not lost."""
    labels, points = counter(1)
    holed = [p for p in points if not 6 * 3600 < p[0] - START < 8 * 3600]
    one, other = ({**labels, "pod": pod} for pod in "ab")
    whole = service(run({"w.json": answer((one, points), (other, points))})[1])
    found = service(run({"g.json": answer((one, points), (other, holed))})[1])
    assert found.rate == pytest.approx(whole.rate, rel=1e-3)
    assert found.load.hourly == pytest.approx(whole.load.hourly, rel=0.02)


def test_servers_scraped_at_other_moments_are_added_up(run):
    labels, points = counter(1)
    later = [(at + 7, total) for at, total in points]
    one, other = ({**labels, "pod": pod} for pod in "ab")
    found = service(run({"m.json": answer((one, points), (other, later))})[1])
    assert found.rate == pytest.approx(20, rel=0.02)


def test_one_namespace_alone_can_be_read(run):
    """Both count unless one is named, and a comment says so."""
    texts = {
        "a.prom": dump(pod="a").replace("pod=", 'namespace="prod",pod='),
        "b.prom": dump(pod="b").replace("pod=", 'exported_namespace="staging",pod='),
    }
    both = run(texts, "--over", "24h")[1]
    assert service(both).rate == 2.0
    assert "# Namespaces, added up: prod, staging. One alone: --namespace NAME" in both
    assert service(run(texts, "--over", "24h", "--namespace", "prod")[1]).rate == 1.0
    code, _, err = run(texts, "--namespace", "stagin")
    assert code == 2
    assert "did you mean 'staging'?" in err


def test_gpus_alone_say_what_is_missing(run):
    code, _, err = run({"d.prom": dcgm(hosts=2)})
    assert code == 2
    assert "no model that is served" in err
    assert "2 x 8 h100-sxm-80gb" in err
