"""From features and verdicts to labelled rows, dated by their group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.folds import Fold

LABEL = "label"
GROUP_DATE = "group_date"
#: What ``folds.group`` never splits.
GROUP_COLUMN = {"board": names.BOARD_ID, "lot": names.LOT}


def training_rows(features: DataFrame, images: DataFrame, verdicts: DataFrame) -> DataFrame:
    """Join what training needs: traceability, verdict, defects, features and the label (1 = fail).

    Only images with a verdict and with features have a row.
    """
    described = images.select(*schemas.TRACEABILITY, names.CAPTURE_DATE)
    judged = verdicts.where(F.col(names.VERDICT).isNotNull())
    joined = features.select(names.IMAGE_ID, names.FEATURES).join(described, names.IMAGE_ID)
    labelled = joined.join(
        judged.select(names.IMAGE_ID, names.VERDICT, names.DEFECTS), names.IMAGE_ID
    )
    return labelled.withColumn(LABEL, (F.col(names.VERDICT) == names.VERDICT_FAIL).cast("int"))


def newest(rows: DataFrame, days: int) -> DataFrame:
    """The rows of the last so many capture dates that have any; all of them for 0."""
    if not days:
        return rows
    dates = rows.select(names.CAPTURE_DATE).distinct().sort(F.desc(names.CAPTURE_DATE))
    wanted = [row[0] for row in dates.limit(days).collect()]
    return rows.where(F.col(names.CAPTURE_DATE).isin(wanted))


def with_group_date(rows: DataFrame, group: str) -> DataFrame:
    """Date each row by its group's last image, so that a group is never split by a fold's border.

    Parameters
    ----------
    group : ``board_id`` or ``lot``; rows without one are groups of their own.
    """
    key = F.coalesce(F.col(group), F.col(names.IMAGE_ID))
    last = F.max(names.CAPTURE_DATE).over(Window.partitionBy(key))
    return rows.withColumn(GROUP_DATE, last)


def check_classes(rows: DataFrame, where: str) -> None:
    """Stop before LightGBM hangs on rows of one class.

    Raises
    ------
    TrainingError : there is no ``pass`` or no ``fail`` among ``rows``.
    """
    fails, total = rows.agg(F.sum(LABEL), F.count(LABEL)).first() or (0, 0)
    refuse_one_class(fails or 0, total, where)


def window_name(fold: Fold) -> str:
    """Name what a fold trains on, for errors."""
    return f"the training window of fold {fold.index} (before {fold.train_before})"


def refuse_one_class(fails: int, total: int, where: str) -> None:
    """Stop where ``fails`` of ``total`` rows leave nothing to tell apart.

    Raises
    ------
    TrainingError : none of the rows fails, or all do.
    """
    if total and 0 < fails < total:
        return
    what = f"{where} hold one class only" if total else f"{where} are empty"
    raise TrainingError(
        what,
        expected="images of both verdicts, pass and fail",
        got=f"{fails} fail among {total} images with verdict and features",
        hint="wait for more verdicts, use fewer folds (folds.n) or a longer first window "
        "(folds.first_fraction)",
    )
