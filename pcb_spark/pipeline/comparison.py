"""Champion and challenger on the last days with verdicts, by scores that flatter neither.

A model has seen the verdicts of its training window, so what it says of these images now proves
nothing. There its out-of-fold scores count, by classifiers that saw only earlier days; images of
that window without one are left out. Images outside of it are scored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
from pyspark.sql import functions as F

from pcb_spark.core import names, policy
from pcb_spark.core.errors import InputError
from pcb_spark.core.scorer import Scorer
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import IMAGES, VERDICTS
from pcb_spark.learning import gate
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.promotion import Comparison, compare, strictest
from pcb_spark.learning.settings import resampling
from pcb_spark.pipeline import logs, references
from pcb_spark.pipeline.artifacts import read_reviews
from pcb_spark.pipeline.register import OUT_OF_FOLD_FILE
from pcb_spark.pipeline.score import score_pixels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.core.bundle import Bundle
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.registry import Registry, Version

#: Images of which Spark's score and that of ONNX Runtime alone are compared, and how far apart
#: they may be: they are measured to be equal.
_PARITY_IMAGES: Final = 8
_PARITY: Final = 1e-6
_SCORE: Final = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A version, its verified bundle, and its out-of-fold scores by image."""

    version: Version
    bundle: Bundle
    out_of_fold: pd.Series[float]


def contender(registry: Registry, version: Version, expected: str) -> Contender:
    """Open a version whose bundle has the hash ``expected``.

    Raises
    ------
    BundleError : it has another one, or was changed.
    """
    import pandas as pd
    import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads

    model = registry.read(version, expected)
    with registry.files(version) as folder:
        kept = folder / OUT_OF_FOLD_FILE
        found = pd.read_parquet(kept) if kept.exists() else pd.DataFrame()
    columns = (names.IMAGE_ID, names.PROBABILITY)
    scores = found.set_index(columns[0])[columns[1]] if len(found) else pd.Series(dtype=float)
    return Contender(version=version, bundle=model, out_of_fold=scores)


def compare_on_spark(job: Job, challenger: Contender, champion: Contender | None) -> Comparison:
    """Compare on the last ``registry.window_days`` days with verdicts.

    Raises
    ------
    InputError : no image has a verdict.
    """
    with logs.progress(job.spark, "compare"):
        labelled = _window(job)
        rows: pd.DataFrame = labelled.drop(names.IMAGE, names.REFERENCE).toPandas()
        if rows.empty:
            what = "no image has a verdict to compare models on"
            raise InputError(what, hint="take in verdicts first, or --force and say why")
        sides = [each for each in (challenger, champion) if each]
        scores = [_honest(job, each, labelled, rows) for each in sides]
    known = np.logical_and.reduce([found.notna().to_numpy() for found in scores])
    judged = [
        _judged(rows[known], found[known], each) for each, found in zip(sides, scores, strict=True)
    ]
    promise = strictest(Promise.of(each.bundle.manifest.threshold) for each in sides)
    other = judged[1] if champion else None
    return compare(judged[0], other, promise or job.config.policy.promise, resampling(job.config))


def parity(job: Job, model: Bundle) -> float:
    """How far Spark's scores of some images are from those of ONNX Runtime alone, 0..1."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    last = (images.agg(F.max(names.CAPTURE_DATE)).first() or (None,))[0]
    newest = images.where(F.col(names.CAPTURE_DATE) == F.lit(last))
    some = newest.sort(names.IMAGE_ID).limit(_PARITY_IMAGES)
    with contextlib.ExitStack() as caches:
        kept = tables.cached(references.seen(job, some, model.manifest.reading), caches)
        scored = score_pixels(job, kept, model, _PARITY_IMAGES).collect()
        files = {row[names.IMAGE_ID]: row for row in kept.collect()}
    scorer = Scorer(model, max_pixels=job.config.ingest.max_pixels)
    apart = [0.0]
    for row in scored:
        pair = files[row[names.IMAGE_ID]]
        golden = bytes(pair[names.REFERENCE]) if pair[names.REFERENCE] else None
        own = scorer.score(bytes(pair[names.IMAGE]), golden).probability
        spark = row[names.PROBABILITY]
        known = own is not None and spark is not None
        apart.append(abs((own or 0.0) - (spark or 0.0)) if known else float(own is not spark))
    return max(apart)


def parity_refusals(apart: float) -> Sequence[str]:
    """Say where Spark and ONNX Runtime alone give other scores."""
    if apart <= _PARITY:
        return ()
    return (f"Spark and ONNX Runtime alone score it {apart:.2g} apart",)


def _window(job: Job) -> DataFrame:
    """Images of the last days with verdicts, with their weights behind the gate."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    known = verdicts.where(F.col(names.VERDICT).isNotNull()).select(names.IMAGE_ID, names.VERDICT)
    rows = images.join(known, names.IMAGE_ID)
    days = rows.select(names.CAPTURE_DATE).distinct().sort(F.desc(names.CAPTURE_DATE))
    wanted = [row[0] for row in days.limit(job.config.registry.window_days).collect()]
    return gate.weigh(rows.where(F.col(names.CAPTURE_DATE).isin(wanted)), read_reviews(job))


def _honest(job: Job, model: Contender, labelled: DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Scores by row, NaN where the model has none that proves anything; -1 can't be scored."""
    window = model.bundle.manifest.training_window
    first, last = (date.fromisoformat(window[name]) for name in ("from", "until"))
    outside = ~F.col(names.CAPTURE_DATE).between(F.lit(first), F.lit(last))
    count = int(((rows[names.CAPTURE_DATE] < first) | (rows[names.CAPTURE_DATE] > last)).sum())
    score = rows[names.IMAGE_ID].map(model.out_of_fold).astype(float)
    if not count:
        return score
    scored = score_pixels(job, labelled.where(outside), model.bundle, count)
    own = scored.select(names.IMAGE_ID, F.coalesce(names.PROBABILITY, F.lit(-1.0)).alias(_SCORE))
    found: pd.DataFrame = own.toPandas()
    return score.fillna(rows[names.IMAGE_ID].map(found.set_index(names.IMAGE_ID)[_SCORE]))


def _judged(rows: pd.DataFrame, score: pd.Series, model: Contender) -> Judged:
    thresholds = policy.SegmentThresholds.of(model.bundle.manifest.threshold)
    segments: Sequence[str | None] = (
        [*rows[thresholds.column]] if thresholds.column else [None] * len(rows)
    )
    known = model.bundle.manifest.known
    told = rows[[*policy.KNOWN]].to_dict("records")
    new = [bool(policy.unseen(known, row)) for row in told]
    return Judged.of(
        image_id=rows[names.IMAGE_ID],
        board_id=rows[names.BOARD_ID],
        is_fail=rows[names.VERDICT] == names.VERDICT_FAIL,
        score=score,
        fold=np.zeros(len(rows)),
        defects=[None] * len(rows),
        labels={},
        threshold=np.where(new, 0.0, thresholds.values(segments)),
        weight=_weights(rows),
    )


def _weights(rows: pd.DataFrame) -> NDArray[np.float64]:
    if names.WEIGHT not in rows:
        return np.ones(len(rows))
    return np.asarray(rows[names.WEIGHT], dtype=np.float64)
