from __future__ import annotations

import math

from pcb_spark.learning import first_flags
from tests.judged import judged


def test_flags_are_told_in_the_order_of_their_scores() -> None:
    scores = [number / 20 for number in range(20)]
    is_fail = [number in (3, 12, 18, 19) for number in range(20)]

    assert first_flags.sentence(judged(is_fail, scores)) == (
        "Meanwhile review flags in the order of their scores, highest first: of the first 2 of 20 "
        "out-of-fold flags 2 were defects, and the first half held 3 of all 4."
    )


def test_without_scores_there_is_nothing_to_tell() -> None:
    assert first_flags.sentence(judged([True], [math.nan])) == ""
