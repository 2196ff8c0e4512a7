"""Which verdicts the gate itself chose: what it asked for, and what that makes of a verdict.

Once images are cleared, most verdicts are of images that scored high. Taken as they come they teach
a classifier that what it clears doesn't exist, and flatter the promise. So the table ``reviews``
keeps, of every image that had no verdict when it was scored, whether the gate asked for one and how
likely that was. From then on

* only verdicts that no score chose count in the promise, one each: those from before the gate, of a
  threshold that cleared nothing, and of control boards, each by the image's first gate;
* every verdict that was asked for weighs 1/probability in training and in figures (Horvitz and
  Thompson, J. Am. Stat. Assoc. 47, 1952), so that an audited image stands for all those like it
  that nobody saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names, policy, review
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_CHOSEN = (names.THRESHOLD, names.REVIEW, names.REVIEW_PROBABILITY)


def open_reviews(scores: DataFrame, verdicts: DataFrame, shares: review.Shares) -> DataFrame:
    """Rows of ``REVIEWS`` for the images that have no verdict yet."""
    scores = scores.withColumn(names.SLIP_SEEN_PROBABILITY, F.lit(shares.seen))
    judged = verdicts.where(F.col(names.VERDICT).isNotNull()).select(names.IMAGE_ID)
    return scores.join(judged, names.IMAGE_ID, "left_anti").select(schemas.REVIEWS.names)


def asked_before(scores: DataFrame, reviews: DataFrame) -> DataFrame:
    """Keep asking for what an earlier gate asked for, though this one may clear it.

    ``review`` and ``review_probability`` are then those of the earlier one.
    """
    asked = reviews.where(F.col(names.REVIEW).isNotNull()).select(
        names.IMAGE_ID,
        F.col(names.REVIEW).alias("_review"),
        F.col(names.REVIEW_PROBABILITY).alias("_probability"),
    )
    joined = scores.join(asked, names.IMAGE_ID, "left")
    return joined.withColumns({
        names.REVIEW: F.coalesce("_review", names.REVIEW),
        names.REVIEW_PROBABILITY: F.coalesce("_probability", names.REVIEW_PROBABILITY),
    }).drop("_review", "_probability")  # fmt: skip


def first_gates(before: DataFrame, now: DataFrame) -> DataFrame:
    """Rows of ``REVIEWS`` for all days on which ``now`` has an image that no gate has seen yet.

    The first gate of an image stays the one that counts: what it asked for didn't depend on what
    later models, promises or shares make of the image.
    """
    new = now.join(before.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    days = new.select(names.CAPTURE_DATE).distinct()
    kept = before.join(days, names.CAPTURE_DATE, "left_semi")
    return kept.select(schemas.REVIEWS.names).unionByName(new.select(schemas.REVIEWS.names))


def weigh(rows: DataFrame, reviews: DataFrame | None) -> DataFrame:
    """Add ``gated`` and ``weight``; see ``Judged``.

    Parameters
    ----------
    rows : images with a verdict.
    reviews : the table; None where no gate has asked for anything yet, and nothing is added.
    """
    if reviews is None:
        return rows
    chosen = reviews.select(names.IMAGE_ID, *_CHOSEN)
    return (
        rows.join(chosen, names.IMAGE_ID, "left")
        .withColumns({names.GATED: _gated(), names.WEIGHT: _weight()})
        .drop(*_CHOSEN)
    )


def _gated() -> Column:
    """Whether an image has a verdict or not depended on its score."""
    control = F.coalesce(F.col(names.REVIEW) == review.CONTROL, F.lit(False))
    return F.coalesce((F.col(names.THRESHOLD) > 0) & ~control, F.lit(False))


def _weight() -> Column:
    """1 also for a verdict that nobody asked for: how likely that was is not known."""
    asked = F.col(names.REVIEW).isNotNull()
    return F.when(asked, 1 / F.col(names.REVIEW_PROBABILITY)).otherwise(F.lit(1.0))


def seen_defects(reviews: DataFrame, verdicts: DataFrame) -> DataFrame:
    """True defects that were seen behind a gate, whose scores say nothing of whether they were.

    Returns
    -------
    Of each ``slipped``, whether it had been cleared; ``slip_seen_probability``; ``probability``,
    ``threshold``; and ``seen_at``, to be ordered by, then by ``image_id``.
    """
    fails = verdicts.where(F.col(names.VERDICT) == names.VERDICT_FAIL)
    found = reviews.join(fails.select(names.IMAGE_ID, names.VERIFIED_AT), names.IMAGE_ID)
    blind = F.col(names.REVIEW).isin(review.DECISION, review.CONTROL, review.AUDIT)
    return found.where(
        blind & (F.col(names.THRESHOLD) > 0) & (F.col(names.DECISION) != policy.UNSCORABLE)
    ).select(
        names.IMAGE_ID,
        F.coalesce(names.VERIFIED_AT, names.SCORED_AT).alias("seen_at"),
        (F.col(names.DECISION) == policy.PASS).alias("slipped"),
        names.SLIP_SEEN_PROBABILITY,
        names.PROBABILITY,
        names.THRESHOLD,
    )


def unweighed(rows: DataFrame) -> DataFrame:
    """Fill in what ``weigh`` adds where it added nothing."""
    given = {names.GATED: F.lit(False), names.WEIGHT: F.lit(1.0)}
    return rows.withColumns({k: v for k, v in given.items() if k not in rows.columns})
