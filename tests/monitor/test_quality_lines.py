from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pcb_spark.monitor import quality_lines

OVERALL = {
    "images": 300.0, "boards": 20.0, "duplicates": 4.0, "undecodable": 1.0,
    "reference_missing_share": 0.05, "verified_share": 0.9,
}  # fmt: skip
LINE = {
    "blurred": 3.0, "exposure_outliers": 2.0, "sharpness_median": 215.4, "brightness_median": 99.6,
    "clipped_share": 0.012, "range_used": 0.25,
}  # fmt: skip


def rows(scope: str, figures: Mapping[str, float | None], n: int) -> list[dict[str, Any]]:
    kind, _, value = scope.partition("=")
    described = {"scope_kind": kind, "scope_value": value or None, "n": n}
    return [{**described, "metric": metric, "value": figures[metric]} for metric in figures]


def test_what_describe_found_is_said_in_a_few_lines() -> None:
    verdicts = {
        "fail_share": 0.358, "verdict_lag_hours_median": 2.04, "verdict_lag_hours_p95": 8.0,
    }  # fmt: skip
    found = [
        *rows("overall", OVERALL | verdicts, 300),
        *rows("day=2026-01-05", {"images": 100.0, "fail_share": None}, 100),
        *rows("day=2026-01-06", {"images": 200.0}, 200),
        *rows("size=448x320", {"first_day": 20260106.0}, 12),
        *rows("line=L1", LINE, 300),
        *rows("line=L2", LINE | {"range_used": 0.06}, 10),
        *rows("column=width bigint", {"type_differs": 1.0}, 1),
        *rows("fold=1", {"near_in_training": 5.0, "equal_in_training": 2.0}, 60),
    ]
    assert quality_lines.lines(found) == [
        "images 300 on 20 boards, 2 days of 100 to 200",
        "same bytes again 4, undecodable 1, without reference 5.0%",
        "verified 90.0%, fail 35.8% of them, verdict after 2.0 h (median), 8.0 h (95 %)",
        "line=L1: 3 blurred, 2 too bright or dark, of 300; median sharpness 215, brightness 100, "
        "1.2% of pixels clipped",
        "line=L2: 3 blurred, 2 too bright or dark, of 10; median sharpness 215, brightness 100, "
        "1.2% of pixels clipped",
        "line=L2 uses 6% of the grey levels: set ingest.bit_depth where files of 16 bits hold "
        "fewer, else look at exposure",
        "column=width bigint: type_differs",
        "day=2026-01-06: first size=448x320, 12 images",
        "fold=1: 5 of 60 test images nearly as in training, 2 the same",
    ]


def test_positions_without_golden_image_are_named_as_far_as_they_fit_in_a_line() -> None:
    has = {"positions_with_golden": 40.0, "positions_without_golden": 7.0}
    found = [
        *rows("overall", OVERALL | has, 300),
        *rows("day=2026-01-05", {"images": 300.0}, 300),
        *(row for n in range(7) for row in rows(f"golden=L1 U{n}", {"golden_missing": 2.0}, 2)),
        *rows("golden=L1 R1", {"golden_views": 2.0, "golden_spread": 19.6}, 30),
    ]
    assert quality_lines.lines(found)[-4:] == [
        "golden images: 40 positions have one, 7 have none",
        "no golden image yet, good images seen: L1 U0: 2, L1 U1: 2, L1 U2: 2, L1 U3: 2, "
        "L1 U4: 2, and 2 more",
        "good images show several things, golden images: L1 R1: 2",
        "good images differ, grey levels: L1 R1: 20",
    ]


def test_without_verdicts_there_is_no_share_of_fails() -> None:
    found = [*rows("overall", OVERALL, 300), *rows("day=2026-01-05", {"images": 300.0}, 300)]
    assert quality_lines.lines(found)[2] == "verified 90.0%"


def test_other_metrics_make_no_lines() -> None:
    assert quality_lines.lines(rows("overall", {"roc_auc": 0.9}, 10)) == []
