"""Samples of several dumps and answers of one server, and of servers that no label tells apart."""

import json

import pytest
from running_fleets import LLAMA, answer

from planner.importing.joined import joined
from planner.importing.series import Series
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source

START = 1_764_547_200.0  # a Monday, midnight UTC
COUNTER = f'vllm:request_success_total{{engine="0",model_name="{LLAMA}"}}'


def service(text):
    (found,) = validate(parse_source(text, "x")).services
    return found


def day(rate=10.0, step_s=600):
    """A counter that rises at ``rate`` for a day."""
    points = [(START + at, rate * at) for at in range(0, 86_401, step_s)]
    return {"__name__": "vllm:request_success_total", "model_name": LLAMA}, points


def test_engines_whose_dumps_carry_no_name_are_added_up(run):
    texts = {f"{n}.prom": f"# TYPE x counter\n{COUNTER} {n * 86_400}\n" for n in (1, 2)}
    _, out, _ = run(texts, "--over", "24h")
    assert service(out).rate == 3.0
    assert "# Dumps without a server's name, added up as servers of their own: 2." in out
    concatenated = {"all.prom": "".join(texts.values())}
    assert service(run(concatenated, "--over", "24h")[1]).rate == 3.0


def test_each_of_them_is_subtracted_from_its_own_and_may_have_begun_again(run, tmp_path):
    for name, value in (("old1", 86_400), ("old2", 400_000)):
        (tmp_path / f"{name}.prom").write_text(f"# TYPE x counter\n{COUNTER} {value}\n")
    now = {
        f"now{n}.prom": f"# TYPE x counter\n{COUNTER} {v}\n" for n, v in ((1, 172_800), (2, 86_400))
    }
    options = ("--before", "old1.prom", "--before", "old2.prom", "--over", "24h")
    assert service(run(now, *options)[1]).rate == 2.0


def test_a_day_in_two_answers_is_a_day(run):
    labels, points = day(5)
    points = [(at, value + 10 * max(0.0, at - START - 43_200)) for at, value in points]
    halves = {"1.json": answer((labels, points[:73])), "2.json": answer((labels, points[72:]))}
    found = service(run(halves)[1])
    assert found.rate == pytest.approx(10)
    assert list(found.load.hourly) == [5.0] * 12 + [15.0] * 12


@pytest.mark.parametrize(
    "change",
    [
        lambda points: points[70:] + points[:70],
        lambda points: points + points[:5],
        lambda points: [(1000 * at, value) for at, value in points],
        lambda points: [(at, "+Inf" if n == 20 else value) for n, (at, value) in enumerate(points)],
        lambda points: [p for n, p in enumerate(points) if not 30 < n < 50],
    ],
    ids=["out of order", "twice", "in milliseconds", "infinite once", "with a gap"],
)
def test_ten_requests_a_second_are_ten_however_they_are_written(run, change):
    labels, points = day()
    body = json.loads(answer((labels, points)))
    (series,) = body["data"]["result"]
    series["values"] = [[at, str(value)] for at, value in change(points)]
    code, out, err = run({"r.json": json.dumps(body)})
    assert code == 0, err
    assert service(out).rate == pytest.approx(10, rel=1e-3)
    assert service(out).load.hourly == pytest.approx([10.0] * 24, rel=1e-3)
    assert service(out).load.peak_ratio == pytest.approx(1.0, rel=1e-3)


def test_a_text_dump_with_times_is_a_series(run):
    _, points = day()
    text = "\n".join(f"{COUNTER} {value:g} {int(1000 * at)}" for at, value in points)
    assert service(run({"r.prom": text})[1]).rate == pytest.approx(10, rel=1e-3)


def test_of_two_samples_at_one_time_the_later_given_counts():
    (one,) = joined([Series("x", {}, ((2.0, 1.0), (1.0, 5.0))), Series("x", {}, ((2.0, 9.0),))])
    assert one.points == ((1.0, 5.0), (2.0, 9.0))
