"""Images that show nearly the same: what a model may have learnt by heart rather than understood.

Two hashes that differ in at most 3 of 256 bits agree in one quarter at least, so that a hash join
on the quarters finds every pair without comparing all with all. Only images of one position are
compared, and only those whose hash tells something: bare board looks the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Final

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pcb_spark.learning.folds import Fold

#: At most so many bits differ; one less than the words of a hash.
MOST_BITS: Final = 3
_WORDS: Final = MOST_BITS + 1
_LEAST_SET: Final = 32  # bits of a hash that tells something
#: A quarter that more images of one position share says nothing of any two of them.
_CROWD: Final = 500


def near(found: DataFrame, group_date: str, difference_hash: str) -> DataFrame:
    """Pairs of different boards whose pictures are nearly the same.

    Parameters
    ----------
    found : image_id, board_id, position, ``group_date`` and ``difference_hash``, array of four
        longs, null where there is none.

    Returns
    -------
    ``earlier`` and ``later`` date and the ``image_id`` of the later one, one row a pair.
    """
    telling = found.where(_bits(F.col(difference_hash)) >= _LEAST_SET)
    words = telling.withColumn("hash", F.col(difference_hash)).select(
        "*", F.posexplode("hash").alias("place", "word")
    )
    key = [names.POSITION, "place", "word"]
    crowd = F.count("*").over(Window.partitionBy(*key))
    usable = words.withColumn("crowd", crowd).where(F.col("crowd").between(2, _CROWD))
    apart = reduce(
        lambda a, b: a + b,
        (F.expr(f"bit_count(one.hash[{i}] ^ other.hash[{i}])") for i in range(_WORDS)),
    )
    return _pairs(usable, key, group_date, apart <= MOST_BITS)


def equal(found: DataFrame, group_date: str) -> DataFrame:
    """Pairs of different boards with the same bytes, in the form of ``near``."""
    crowd = F.count("*").over(Window.partitionBy(names.CONTENT_SHA256))
    usable = found.withColumn("crowd", crowd).where("crowd > 1")
    return _pairs(usable, [names.CONTENT_SHA256], group_date, F.lit(True))


def across_border(
    pairs: DataFrame, found: DataFrame, folds: Iterable[Fold], group_date: str
) -> list[tuple[int, int, int]]:
    """For each fold: index, test images that have a like among the training images, test images."""
    kept = pairs.persist()
    answers = []
    for fold in folds:
        like = kept.where(
            (F.col("earlier") < F.lit(fold.train_before))
            & F.col("later").between(fold.test_from, fold.test_until)
        )
        test = found.where(F.col(group_date).between(fold.test_from, fold.test_until))
        answers.append((fold.index, like.select(names.IMAGE_ID).distinct().count(), test.count()))
    kept.unpersist()
    return answers


def _pairs(usable: DataFrame, key: list[str], group_date: str, condition: Column) -> DataFrame:
    one, other = usable.alias("one"), usable.alias("other")
    same_key = reduce(
        lambda a, b: a & b,
        (F.col(f"one.{name}").eqNullSafe(F.col(f"other.{name}")) for name in key),
    )
    # a board is never split between training and test, and its date is one
    before = F.col(f"one.{group_date}") < F.col(f"other.{group_date}")
    boards = F.col(f"one.{names.BOARD_ID}") != F.col(f"other.{names.BOARD_ID}")
    joined = one.join(other, same_key & before & boards & condition)
    return joined.select(
        F.col(f"one.{group_date}").alias("earlier"),
        F.col(f"other.{group_date}").alias("later"),
        F.col(f"other.{names.IMAGE_ID}").alias(names.IMAGE_ID),
    ).distinct()


def _bits(hashed: Column) -> Column:
    return reduce(lambda a, b: a + b, (F.bit_count(hashed[i]) for i in range(_WORDS)))
