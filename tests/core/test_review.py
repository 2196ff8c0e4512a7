from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import policy, review
from pcb_spark.core.review import Review, Shares

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

THRESHOLD = 0.2
HIGH_FROM = 0.15


def reviewed(n: int, shares: Shares, probability: float = 0.1, boards: int = 1) -> list[Review]:
    """Images ``0``, ``1`` and so on of one score, so many a board."""
    decision = str(policy.decide([probability], THRESHOLD)[0])
    return [
        review.review(
            decision,
            probability,
            image_id=f"image-{number}",
            board_id=f"board-{number // boards}",
            high_from=HIGH_FROM,
            shares=shares,
        )
        for number in range(n)
    ]


def test_what_isnt_cleared_goes_to_an_operator_for_sure() -> None:
    shares = Shares(control=0, audit=0.5)

    assert set(reviewed(10, shares, probability=0.2)) == {Review("decision", 1.0)}
    assert set(reviewed(10, shares, probability=math.nan)) == {Review("unscorable", 1.0)}


def test_nobody_looks_at_what_is_cleared_where_nothing_is_drawn() -> None:
    assert set(reviewed(10, Shares(control=0, audit=0))) == {Review(None, 0.0)}


def test_a_control_board_goes_as_a_whole_whatever_its_scores() -> None:
    shares = Shares(control=0.05, audit=0)

    cleared = [each.reason for each in reviewed(20_000, shares, boards=10)]
    failed = [each.reason for each in reviewed(20_000, shares, probability=0.9, boards=10)]

    boards = [set(cleared[at : at + 10]) for at in range(0, 20_000, 10)]
    assert all(len(reasons) == 1 for reasons in boards)
    # 100 of 2,000 boards, give or take five standard deviations of 10.
    assert 50 < sum(reasons == {"control"} for reasons in boards) < 150
    assert [why == "control" for why in failed] == [why == "control" for why in cleared]


def test_half_of_the_audit_goes_to_the_highest_tenth() -> None:
    shares = Shares(control=0, audit=0.02)

    low, high = (reviewed(20_000, shares, probability=p) for p in (0.1, 0.15))

    assert [each.probability for each in low] == pytest.approx([0.01] * 20_000)
    assert [each.probability for each in high] == pytest.approx([0.11] * 20_000)
    # 200 and 2,000 more, give or take five standard deviations.
    drawn = [sum(each.reason == "audit" for each in rows) for rows in (low, high)]
    assert drawn[0] == drawn[1]
    assert 130 < drawn[0] < 270
    assert 1790 < sum(each.reason == "audit_high" for each in high) < 2210
    assert {each.reason for each in low} == {None, "audit"}


@pytest.mark.parametrize("audit", [0.0, 0.01, 0.02, 0.1, 0.18, 0.5, 0.9, 1.0])
def test_the_mean_of_both_halves_is_the_audit_share(audit: float) -> None:
    shares = Shares(control=0, audit=audit)

    mean = 0.9 * shares.low_audit + 0.1 * shares.high_audit

    assert mean == pytest.approx(audit)
    assert 0 <= shares.low_audit <= shares.high_audit <= 1


def test_an_image_is_as_likely_to_be_seen_as_both_draws_make_it() -> None:
    """.05 + .95 x .11."""
    found = reviewed(1, Shares(control=0.05, audit=0.02), probability=0.15)

    assert found[0].probability == pytest.approx(0.1545)


def test_seeds_draw_different_images_and_a_seed_the_same_ones() -> None:
    one, again, other = (
        [each.reason for each in reviewed(2_000, Shares(control=0, audit=0.5, seed=seed))]
        for seed in (1, 1, 2)
    )

    assert one == again
    assert one != other


def test_spark_reviews_as_python_does(spark: SparkSession) -> None:
    shares = Shares(control=0.3, audit=0.3, seed=7)
    scores = [0.05, 0.149999, 0.15, 0.1999, 0.2, 0.7, None, math.nan]
    rows = [
        (f"ä {n} {place}", f"b{n // 4}", str(policy.decide([float("nan") if s is None else s],
                                                            THRESHOLD)[0]), s, HIGH_FROM)
        for n in range(40)
        for place, s in enumerate(scores)
    ]  # fmt: skip
    columns = {"decision": "decision", "probability": "probability", "high_from": "high_from"}
    ids = {"image_id": "image_id", "board_id": "board_id"}
    table = spark.createDataFrame(
        rows, "image_id string, board_id string, decision string, probability double,"
        "high_from double",
    )  # fmt: skip

    unseen = "conv(substring(sha1(image_id), 1, 1), 16, 10) < 8"
    found = table.selectExpr(
        "image_id",
        f"{unseen} AS unseen",
        f"{review.reason_sql(**columns, **ids, shares=shares, unseen=unseen)} AS reason",
        f"{review.probability_sql(**columns, shares=shares)} AS likely",
    ).collect()

    new = {row.image_id: row.unseen for row in found}
    by_python = {
        image: review.review(
            decision, score, image_id=image, board_id=board, high_from=high, shares=shares,
            unseen=new[image],
        )
        for image, board, decision, score, high in rows
    }  # fmt: skip
    assert {row.image_id: Review(row.reason, row.likely) for row in found} == by_python
    assert {each.reason for each in by_python.values()} == {None, *review.REASONS}
