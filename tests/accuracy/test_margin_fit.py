"""Margins follow from the left-out errors, and hold as often on what was left out as they say."""

import dataclasses

import numpy as np
import pytest

from planner.accuracy.margin_fit import (
    LEVELS,
    SIZED_AT,
    GradeErrors,
    binomial_interval,
    errors_by_grade,
    read_left_out_errors,
    write_left_out_errors,
)
from planner.catalog.store import load_catalog
from planner.errors import CatalogError
from planner.performance.factors import load_calibration

FOLDER = load_catalog().root / "calibration"


@pytest.fixture(scope="module")
def errors():
    return errors_by_grade(read_left_out_errors(FOLDER))


@pytest.fixture(scope="module")
def margins():
    return load_calibration(load_catalog()).margins


@pytest.mark.parametrize("grade", ["measured", "calibrated"])
def test_the_shipped_quantiles_are_those_of_the_left_out_errors(grade, errors, margins):
    assert margins[grade].levels == LEVELS
    assert margins[grade].quantiles == pytest.approx(errors[grade].quantiles(), abs=1e-3)


@pytest.mark.parametrize("grade", ["measured", "calibrated", "modelled"])
def test_a_vendors_quantiles_are_those_of_its_own_left_out_errors(grade, margins):
    own = errors_by_grade(read_left_out_errors(FOLDER, "amd"))[grade]
    assert margins[f"{grade} AMD"].quantiles == pytest.approx(own.quantiles(), abs=1e-3)
    assert not margins[f"{grade} AMD"].passed  # in sample, or too few groups
    low, high = binomial_interval(own.coverage(), len(own.groups))
    assert low <= SIZED_AT <= high


@pytest.mark.parametrize(
    ("distance", "grade"), [("fitted", "measured"), ("calibrated", "calibrated")]
)
def test_a_vendors_intervals_are_of_the_same_errors(distance, grade):
    own = errors_by_grade(read_left_out_errors(FOLDER, "amd"))[grade]
    shipped = load_calibration(load_catalog()).residuals
    found = own.quantiles(levels=shipped.levels)
    assert shipped.quantiles[f"{distance}-amd"]["tpot"] == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("grade", ["measured", "calibrated", "modelled"])
def test_intervals_on_amd_miss_as_often_on_either_side_as_they_say(grade):
    """A tenth of left-out runs lies below an interval of 80 %, and a tenth above it."""
    own = errors_by_grade(read_left_out_errors(FOLDER, "amd"))[grade]
    for share in own.outside(0.8):
        low, high = binomial_interval(share, len(own.groups))
        assert low <= 0.1 <= high
    low, high = binomial_interval(1 - sum(own.outside(0.8)), len(own.groups))
    assert low <= 0.8 <= high


def test_what_lies_outside_an_interval_is_counted_by_side():
    spread = np.linspace(-1, 1, 101)
    below, above = GradeErrors(dict.fromkeys(range(8), spread)).outside(0.8)
    assert (below, above) == (pytest.approx(0.1, abs=0.01), pytest.approx(0.1, abs=0.01))
    slower = GradeErrors({i: spread / 100 + (1 if i < 4 else 9) for i in range(8)})
    assert slower.outside(0.8)[0] == 0.0  # the prediction lies inside, though every run is slower
    one = GradeErrors({i: spread + (9 if i == 0 else 0) for i in range(8)})
    assert one.outside(0.8)[1] >= 1 / 8


def test_a_grade_that_passed_covers_what_was_left_out(errors, margins):
    assert {grade for grade, m in margins.items() if m.passed} == {"calibrated", "measured kernels"}
    assert errors["calibrated"].passed
    assert not errors["modelled"].passed  # too few groups


def test_plans_sized_at_80_percent_hold_on_80_percent_of_left_out_groups(errors):
    """Each group is a deployment; it is sized by the other groups' quantile and then measured."""
    found = errors["calibrated"]
    low, high = binomial_interval(found.coverage(), len(found.groups))
    assert low <= SIZED_AT <= high
    assert found.coverage() == pytest.approx(0.79, abs=0.01)


def test_a_stated_width_is_not_below_what_left_out_runs_show(errors, margins):
    for own, seen in zip(
        margins["modelled"].quantiles, errors["modelled"].quantiles(), strict=True
    ):
        assert own >= seen


def test_every_group_weighs_equally():
    many, few = np.zeros(1000), np.ones(10)
    assert GradeErrors({"a": many, "b": few}).quantiles()[1] == 1.0
    assert GradeErrors({"a": many, "b": few}).quantiles(without="b")[1] == 0.0


def test_an_error_that_every_group_makes_is_covered_and_a_lone_one_is_not():
    spread = np.linspace(-0.2, 0.2, 101)
    equal = GradeErrors(dict.fromkeys(range(10), spread))
    assert equal.coverage() == pytest.approx(0.8, abs=0.02)
    assert equal.passed
    apart = GradeErrors({i: spread + (i % 2) for i in range(10)})
    assert apart.coverage() < 0.8
    assert not GradeErrors(dict.fromkeys(range(3), spread)).passed


def test_the_table_reads_back_as_it_was_written(tmp_path):
    rows = read_left_out_errors(FOLDER)
    write_left_out_errors(rows, tmp_path / "left_out_errors.csv")
    assert read_left_out_errors(tmp_path) == rows
    assert dataclasses.asdict(rows[0])["known"] in (True, False)
    (tmp_path / "left_out_errors.csv").write_text("model,gpu\na,b\n")
    with pytest.raises(CatalogError, match="wrong columns"):
        read_left_out_errors(tmp_path)
