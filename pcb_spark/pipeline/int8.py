"""Whether int8 features serve: part of the train job where ``backbone.precision`` is ``auto``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES
from pcb_spark.learning import precision
from pcb_spark.learning.judge import judge_on_driver, kept
from pcb_spark.learning.settings import resampling
from pcb_spark.network import features
from pcb_spark.pipeline.artifacts import write_feature_set
from pcb_spark.pipeline.job import Job, load_backbone

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.folds import Fold
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.settings import TreeSettings
    from pcb_spark.network.features import FeatureSet

log = logging.getLogger(__name__)

_UNITS = 1_000_000
#: About how many images the boards hold on which the two are compared.
_COMPARED = 2_000


def compare_precision(
    job: Job,
    rows: DataFrame,
    images: DataFrame,
    folds: Sequence[Fold],
    feature_set: FeatureSet,
    settings: TreeSettings,
) -> precision.Comparison | None:
    """Judge int8 and float32 features of the same boards, in the same folds.

    Parameters
    ----------
    rows : answer of ``examples.with_group_date`` with int8 features.
    images : the images table.
    settings : of the classifier.

    Returns
    -------
    None, with a warning, where the drawn boards hold too few verdicts to judge by: int8 then stays
    unproven.
    """
    share = min(1.0, _COMPARED / max(1, rows.count()))
    board = F.coalesce(F.col(names.BOARD_ID), F.col(names.IMAGE_ID))
    unit = F.pmod(F.xxhash64(board, F.lit(job.config.seed)), F.lit(_UNITS)) / _UNITS
    int8 = kept(rows.where(unit < share))
    exact = features.build(load_backbone(job.config), feature_set.spec)
    made = _featurize(
        job, images.join(int8.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi"), exact
    )
    fp32 = int8.drop(names.FEATURES).join(
        made.select(names.IMAGE_ID, names.FEATURES), names.IMAGE_ID
    )
    try:
        return _compare(
            job, *(judge_on_driver(job.config, e, folds, settings) for e in (fp32, int8))
        )
    except TrainingError as error:
        log.warning("int8 can't be judged on a share of %.0f %%: %s", 100 * share, error.what)
        return None
    finally:
        int8.unpersist()


def featurize_again(job: Job, images: DataFrame, feature_set: FeatureSet) -> FeatureSet:
    """Replace the ``features`` table by float32 features of the same images and specification."""
    exact = features.build(load_backbone(job.config), feature_set.spec)
    tables.replace(
        _featurize(job, images, exact), job.table(FEATURES), schemas.FEATURES_TABLE,
        by_date=True, lease=job.lease,
    )  # fmt: skip
    write_feature_set(job, exact)
    return exact


def _featurize(job: Job, images: DataFrame, feature_set: FeatureSet) -> DataFrame:
    """Featurize what can be; the featurize job has rejected the rest before."""
    made = features.featurize(images, feature_set, job.plan(images.count()))
    return made.where(F.col(names.REASON).isNull())


def _compare(job: Job, fp32: Judged, int8: Judged) -> precision.Comparison:
    found = precision.compare(fp32, int8, job.config.policy.promise, resampling(job.config))
    log.info(
        "int8 against fp32 on %d images: AUC %.4f and %.4f, cleared %.1f %% and %.1f %%; using %s",
        found.images, found.auc_int8, found.auc_fp32,
        100 * found.cleared_int8, 100 * found.cleared_fp32, found.chosen,
    )  # fmt: skip
    return found
