from __future__ import annotations

import math

import pytest

from pcb_spark.lake.scopes import OVERALL
from pcb_spark.learning.calibration import evaluate_calibration, reliability_bins
from pcb_spark.learning.metrics import Metric
from tests.judged import judged


def test_reliability_bins() -> None:
    table = judged([False, False, True, True, True, True], [0.0, 0.2, 0.1, 0.75, 1.0, math.nan])
    bins = reliability_bins(table, bins=4)

    assert [(row.lower, row.upper, row.n) for row in bins] == [(0.0, 0.25, 3), (0.75, 1.0, 2)]
    assert [row.mean_probability for row in bins] == pytest.approx([0.1, 0.875])
    assert [row.fail_share for row in bins] == pytest.approx([1 / 3, 1.0])


def test_calibration_by_bin_and_overall() -> None:
    rows = evaluate_calibration(judged([False, False, True, True], [0.04, 0.06, 0.95, 0.75]))

    found = {(str(row.scope), row.metric): row for row in rows}
    low = found["reliability=0.0-0.1", "fail_share"]
    # None of two: 1 - 0.025 ** (1 / 2) above.
    assert (low.value, low.lower, low.n) == (0.0, 0.0, 2)
    assert low.upper == pytest.approx(0.841886, abs=1e-6)
    assert found["reliability=0.9-1.0", "mean_probability"].value == 0.95
    assert ("reliability=0.5-0.6", "fail_share") not in found
    # (2 * 0.05 + 0.05 + 0.25) / 4
    assert found["overall", "calibration_error"].value == pytest.approx(0.1)


def test_calibration_of_nothing_is_unknown() -> None:
    assert evaluate_calibration(judged([], [])) == [
        Metric(OVERALL, "calibration_error", None, None, None, 0)
    ]
