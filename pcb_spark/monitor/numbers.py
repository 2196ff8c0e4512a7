"""The numbers of images that nights are watched by: score, measures of the pixels, features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.monitor import cells, quality

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

#: Of the pixels; sharpness is a variance, whose logarithm is even.
MEASURED: Final = (quality.BRIGHTNESS, quality.SHARPNESS)
_RANK: Final = "_rank"


def of_features(indices: Sequence[int]) -> Mapping[str, int]:
    """What the features of these indices are called, and their indices."""
    return {f"feature_{index}": index for index in indices}


def gaining_most(classifier: str, count: int) -> tuple[int, ...]:
    """Index of the features that trees in LightGBM's text gain most by, in order."""
    import lightgbm

    gains = lightgbm.Booster(model_str=classifier).feature_importance("gain")
    order = np.argsort(-gains, kind="stable")[:count]
    return tuple(int(index) for index in sorted(order) if gains[index] > 0)


def sampled(images: DataFrame, per_day: int) -> DataFrame:
    """``image_id`` and ``capture_date`` of so many images of each line and day, by a hash."""
    slim = images.select(names.IMAGE_ID, names.CAPTURE_DATE, names.LINE)
    order = Window.partitionBy(names.CAPTURE_DATE, names.LINE).orderBy(
        F.xxhash64(names.IMAGE_ID), names.IMAGE_ID
    )
    ranked = slim.withColumn(_RANK, F.row_number().over(order))
    return ranked.where(F.col(_RANK) <= per_day).select(names.IMAGE_ID, names.CAPTURE_DATE)


def frame(
    images: DataFrame,
    scores: DataFrame,
    features: DataFrame,
    indices: Sequence[int],
    *,
    max_pixels: int,
    bit_depth: int,
) -> pd.DataFrame:
    """One row an image: ``cells.PLACES``, and its numbers, NaN where there is none.

    Parameters
    ----------
    images : rows of ``images``, few.
    scores, features : ``image_id`` with ``probability``, and with ``features``.
    """
    nobody = images.sparkSession.createDataFrame([], "image_id string, verdict string, "
                                                 "verified_at timestamp")  # fmt: skip
    facts = quality.facts(images, nobody, max_pixels=max_pixels, bit_depth=bit_depth)
    measured = facts.select(names.IMAGE_ID, *cells.PLACES, *MEASURED)
    named = of_features(indices).items()
    chosen = features.select(
        names.IMAGE_ID, *(F.col(names.FEATURES)[index].alias(name) for name, index in named)
    )
    probability = scores.select(names.IMAGE_ID, F.col(names.PROBABILITY).cast("double"))
    joined = measured.join(probability, names.IMAGE_ID, "left").join(chosen, names.IMAGE_ID, "left")
    rows: pd.DataFrame = joined.toPandas()
    found = rows.sort_values(names.IMAGE_ID, ignore_index=True).drop(columns=names.IMAGE_ID)
    found[quality.SHARPNESS] = np.log1p(found[quality.SHARPNESS].astype(float))
    numeric = [*MEASURED, names.PROBABILITY, *of_features(indices)]
    return found.astype(dict.fromkeys(numeric, float))


def names_of(indices: Sequence[int]) -> tuple[str, ...]:
    """All numbers of an image."""
    return (names.PROBABILITY, *MEASURED, *of_features(indices))
