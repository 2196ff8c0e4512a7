from __future__ import annotations

import hashlib
import json
import math
import struct
from datetime import date

import numpy as np
import pytest

from pcb_spark.core.errors import BundleError, InputError
from pcb_spark.core.policy import SegmentThresholds
from pcb_spark.core.share_cap import (
    Cap,
    Evidence,
    ShareCap,
    cap,
    of_night,
    share_below,
    with_margin,
)

TEN = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.9375, 1.0]
NIGHT = date(2024, 2, 27)


def record(scores: list[float], share: float, before: ShareCap | None = None) -> ShareCap:
    return of_night(
        NIGHT, scores, [None] * len(scores),
        evidence=Evidence(share, 10), segment_evidence={}, model_sha256="m1", before=before,
        errors=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 0.0), (0.25, 0.2), (0.26, 0.3), (1.0, 0.9)])
def test_share_below_counts_what_would_be_cleared(threshold: float, share: float) -> None:
    assert share_below([*TEN, math.nan, -1.0], threshold) == share


def test_share_below_rounds_as_the_rule_does() -> None:
    assert share_below([0.1 - 1e-12, 0.05], 0.1) == 0.5
    assert share_below([], 0.5) == 0.0


@pytest.mark.parametrize(
    ("share", "value"),
    # Two of ten lie below .25; .29 of ten are two as well.
    [(0.0, 0.0), (0.2, 0.25), (0.29, 0.25), (0.3, 0.375), (0.95, 1.0), (1.0, 1.0)],
)
def test_no_more_than_the_share_lies_below_the_cap(share: float, value: float) -> None:
    assert cap([*reversed(TEN), math.nan], share) == Cap(share, value)


def test_the_night_that_a_threshold_was_chosen_on_does_not_lower_it() -> None:
    # 29 of 100, which floats make 28.999999999999996.
    scores = [row / 128 for row in range(100)]
    assert cap(scores, share_below(scores, 29 / 128)).value == 29 / 128
    assert cap(scores, 0.29).value == 29 / 128


def test_images_with_one_score_are_never_cut_in_two() -> None:
    assert cap([0.25] * 5 + [0.75] * 5, 0.4).value == 0.25


def test_a_night_whose_scores_all_slid_lowers_the_threshold_by_as_much() -> None:
    share = share_below(TEN, 0.5)
    assert cap([score / 2 for score in TEN], share).value == 0.25
    # And one that slid upward leaves it to the chosen threshold.
    higher = record([(1 + score) / 2 for score in TEN], share)
    chosen = SegmentThresholds(0.5, None, {})
    assert higher.limit(chosen, model_sha256="m1") == chosen


@pytest.mark.parametrize(
    ("share", "night", "evidence", "errors", "raised"),
    [
        # .2 x .8 (1 / 50 + 1 / 200) is .004, whose root is .0632.
        (0.2, 50, 200, 1.0, 0.263246),
        (0.2, 50, 200, 2.0, 0.326491),
        (0.2, 50, 200, 0.0, 0.2),
        # Nothing cleared stays nothing cleared, and a share is one at most.
        (0.0, 5, 5, 1.0, 0.0),
        (0.9, 2, 2, 9.0, 1.0),
        (0.4, 0, 9, 1.0, 0.4),
    ],
)
def test_a_margin_is_what_chance_does_to_a_share(
    share: float, night: int, evidence: int, errors: float, raised: float
) -> None:
    found = with_margin(share, night=night, evidence=evidence, errors=errors)
    assert found == pytest.approx(raised, abs=1e-6)


def test_a_night_has_the_margin_of_its_own_size_and_of_the_evidence() -> None:
    # .2 and .0632 of 50 are 13 images.
    night = [row / 64 for row in range(50)]
    made = of_night(
        NIGHT, night, [None] * 50, evidence=Evidence(0.2, 200), segment_evidence={},
        model_sha256="m1",
    )  # fmt: skip
    assert made.pooled.value == 13 / 64


@pytest.mark.parametrize(
    ("threshold", "evidence"),
    [
        ({"slips": 1, "cleared_good": 29, "defects": 40, "good": 60}, Evidence(0.3, 100)),
        ({"slips": 0, "cleared_good": 0, "defects": 0, "good": 0}, None),
        ({"value": 0.25, "slip_rate_upper": 0.02}, None),
    ],
)
def test_evidence_is_read_off_a_manifest(
    threshold: dict[str, float], evidence: Evidence | None
) -> None:
    assert Evidence.of(threshold) == evidence


def test_a_night_without_a_score_gives_no_cap() -> None:
    with pytest.raises(InputError, match="a night without a score gives no share cap"):
        record([math.nan], 0.2)


def test_segments_have_caps_of_their_own_and_keep_them_while_they_rest() -> None:
    half = Evidence(0.5, 10)
    before = ShareCap(
        night="2024-02-26", model_sha256="m1", scores_sha256="", pooled=Cap(0.5, 0.1),
        by_segment={"L2": Cap(0.5, 0.375), "L9": Cap(0.5, 0.5)},
    )  # fmt: skip

    made = of_night(
        NIGHT, [0.25, 0.75, 0.5, math.nan], ["L1", "L1", None, "L2"],
        evidence=half, segment_evidence={"L1": half, "L2": half, "L3": half}, model_sha256="m1",
        before=before, errors=0.0,
    )  # fmt: skip

    # L2 had no score in this night, L3 never, and L9 has no threshold of its own any more.
    assert made.by_segment == {"L1": Cap(0.5, 0.75), "L2": Cap(0.5, 0.375)}
    limited = made.limit(
        SegmentThresholds(0.625, "line", {"L1": 0.9, "L2": 0.25, "L3": 0.875}), model_sha256="m1"
    )
    assert limited == SegmentThresholds(0.5, "line", {"L1": 0.75, "L2": 0.25, "L3": 0.875})


def test_caps_of_another_model_are_not_kept() -> None:
    before = ShareCap(
        night="2024-02-26", model_sha256="m0", scores_sha256="", pooled=Cap(0.5, 0.1),
        by_segment={"L2": Cap(0.5, 0.375)},
    )  # fmt: skip
    made = of_night(
        NIGHT, [0.5], ["L1"], evidence=Evidence(0.5, 10),
        segment_evidence={"L2": Evidence(0.5, 10)}, model_sha256="m1", before=before,
    )  # fmt: skip
    assert made.by_segment == {}


def test_the_record_says_which_night_and_which_scores() -> None:
    made = record([0.5, math.nan, 0.25], 0.5)
    assert (made.night, made.model_sha256) == ("2024-02-27", "m1")
    assert made.scores_sha256 == hashlib.sha256(struct.pack("<2f", 0.25, 0.5)).hexdigest()


def test_the_record_comes_back_as_it_was_written() -> None:
    made = of_night(
        NIGHT, np.array([0.1, 0.7, 0.3], dtype=np.float32), ["L1", "L1", "L2"],
        evidence=Evidence(1 / 3, 9), segment_evidence={"L1": Evidence(0.5, 4)}, model_sha256="m1",
    )  # fmt: skip
    assert ShareCap.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"night": "yesterday"}, {"night": 7}, {"pooled": None}, {"pooled": {"share": 0.5}},
        {"pooled": {"share": 0.5, "value": math.nan}}, {"pooled": {"share": 2, "value": 0.5}},
        {"by_segment": [1]}, {"by_segment": {"L1": 0.5}}, {"more": 1},
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused(change: dict[str, object]) -> None:
    raw = {**json.loads(record(TEN, 0.5).to_json()), **change}
    with pytest.raises(BundleError, match="the record of a share cap can't be read"):
        ShareCap.from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"night": "2024-02-27"}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="the record of a share cap can't be read"):
        ShareCap.from_json(text)


def test_a_record_of_another_model_does_not_decide() -> None:
    with pytest.raises(BundleError, match="is of another model") as caught:
        record(TEN, 0.5).limit(SegmentThresholds(0.5, None, {}), model_sha256="m2")
    assert "expected: model_sha256 m2" in str(caught.value)
