"""The scoring stage: images and a bundle become probabilities and decisions, no row left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from pcb_spark.core import batches, names, policy, review
from pcb_spark.lake import schemas
from pcb_spark.network import inference, onnx_runtime

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pcb_spark.core.bundle import Manifest


def score(images: DataFrame, graph: bytes, plan: inference.InferencePlan) -> DataFrame:
    """Run the fused graph, pixels to probability.

    Parameters
    ----------
    graph : of ``graphs.with_threads``: ONNXModel takes their number from nowhere else, and with
        another one the last bits of int8 scores differ.

    Returns
    -------
    Traceability, ``capture_date``, ``reference_sha256`` (null where nothing was compared),
    ``probability`` (null where there is a ``reason``), ``reason``, ``detail``: as many rows as
    ``images`` has.
    """
    columns = [*schemas.TRACEABILITY, names.CAPTURE_DATE, names.IMAGE]
    if plan.reading.difference:
        columns += [names.REFERENCE, names.REFERENCE_SHA256]
    chosen = images.select(columns)
    made = inference.run_images(chosen, graph, batches.PROBABILITY, plan)
    compared = (
        F.col(names.REFERENCE_SHA256) if plan.reading.difference else F.lit(None).cast("string")
    )
    return made.withColumn(names.REFERENCE_SHA256, compared).select(
        *_DESCRIBED, names.PROBABILITY, names.REASON, names.DETAIL
    )


_DESCRIBED: Final = (*schemas.TRACEABILITY, names.CAPTURE_DATE, names.REFERENCE_SHA256)


def score_features(
    features: DataFrame, classifier: bytes, *, engine: str = names.SYNAPSEML
) -> DataFrame:
    """Run the classifier alone over features that are there, where pixels need no second look.

    Parameters
    ----------
    features : traceability, ``capture_date``, ``reference_sha256`` and ``features``.
    classifier : ``graphs.classifier_graph`` of the bundle: the same nodes as in the fused graph.
    """
    if engine == names.ONNXRUNTIME:
        scored = onnx_runtime.run_classifier(
            features.select(*_DESCRIBED, names.FEATURES), classifier
        )
    else:
        scored = _by_synapseml(features, classifier)
    none = F.lit(None).cast("string")
    return scored.select(
        *_DESCRIBED, names.PROBABILITY, none.alias(names.REASON), none.alias(names.DETAIL)
    )


def _by_synapseml(features: DataFrame, classifier: bytes) -> DataFrame:
    packed = features.select(
        F.array(F.struct(*_DESCRIBED)).alias(inference.ITEMS),
        F.array(names.FEATURES).alias(batches.FEATURES),
    )
    scored = inference.run(packed, classifier, batches.PROBABILITY)
    item_of = F.col(inference.ITEMS)[0]
    return scored.select(
        *(item_of[name].alias(name) for name in _DESCRIBED),
        F.col(inference.OUTPUT)[0].alias(names.PROBABILITY),
    )


def decide(
    scored: DataFrame,
    manifest: Manifest,
    shares: review.Shares,
    stopped: Collection[str | None] = (),
    by_date: Mapping[date, policy.SegmentThresholds] | None = None,
) -> DataFrame:
    """Turn probabilities into decisions by the rule of ``policy``, and these into who looks.

    ``review`` says why an image goes to an operator, null where it doesn't, and
    ``review_probability`` how likely that was; see ``core.review``.

    Parameters
    ----------
    stopped : lines of which nothing is cleared; None among them is all.
    by_date : the thresholds of capture dates that have others than the manifest's.
    """
    thresholds = _of_dates(policy.SegmentThresholds.of(manifest.threshold), by_date or {})
    high_from = policy.SegmentThresholds.of(manifest.threshold, review.HIGH_FROM)
    columns = {"decision": names.DECISION, "probability": names.PROBABILITY}
    unseen = policy.unseen_sql(manifest.known)
    return scored.withColumns({
        names.PROBABILITY: F.col(names.PROBABILITY).cast("double"),
        names.STATUS: F.when(F.col(names.REASON).isNull(), names.STATUS_OK)
        .otherwise(names.STATUS_UNSCORABLE),
        names.THRESHOLD: F.when(F.expr(unseen), 0.0).otherwise(_unless(stopped, thresholds)),
        review.HIGH_FROM: _threshold(high_from),
    }).withColumns({
        names.DECISION: F.expr(policy.decision_sql(names.PROBABILITY, names.THRESHOLD)),
    }).withColumns({
        names.REVIEW: F.expr(
            review.reason_sql(
                **columns,
                image_id=names.IMAGE_ID,
                board_id=names.BOARD_ID,
                high_from=review.HIGH_FROM,
                shares=shares,
                unseen=unseen,
            )
        ),
        names.REVIEW_PROBABILITY: F.expr(
            review.probability_sql(**columns, high_from=review.HIGH_FROM, shares=shares)
        ),
        names.IN_TRAINING_WINDOW: _in_training_window(manifest),
        names.MODEL_VERSION: F.lit(manifest.model_version),
        names.MODEL_SHA256: F.lit(manifest.model_sha256),
        names.FEATURE_SET: F.lit(manifest.feature_set),
    }).drop(review.HIGH_FROM)  # fmt: skip


def _of_dates(
    others: policy.SegmentThresholds, by_date: Mapping[date, policy.SegmentThresholds]
) -> Column:
    """Threshold of each row by its capture date, ``others`` where that has none of its own."""
    found = _threshold(others)
    for day, thresholds in by_date.items():
        own = F.col(names.CAPTURE_DATE) == F.lit(day)
        found = F.when(own, _threshold(thresholds)).otherwise(found)
    return found


def _unless(stopped: Collection[str | None], threshold: Column) -> Column:
    """The threshold, 0 where clearing is stopped."""
    if None in stopped:
        return F.lit(0.0)
    held = F.coalesce(F.col(names.LINE).isin(sorted(filter(None, stopped))), F.lit(False))
    return F.when(held, 0.0).otherwise(threshold) if stopped else threshold


def _in_training_window(manifest: Manifest) -> Column:
    """Whether an image was captured on a day that the model was trained on.

    It then may know the verdict, and a decision shows nothing of what new images get.
    """
    window = manifest.training_window
    if not window:
        return F.lit(None).cast("boolean")
    return F.col(names.CAPTURE_DATE).between(F.lit(window["from"]), F.lit(window["until"]))


def _threshold(thresholds: policy.SegmentThresholds) -> Column:
    """Threshold of each row: its segment's own, else the pooled one."""
    pooled = F.lit(thresholds.pooled)
    if thresholds.column is None or not thresholds.by_segment:
        return pooled
    pairs = [F.lit(each) for pair in thresholds.by_segment.items() for each in pair]
    return F.coalesce(F.create_map(*pairs)[F.col(thresholds.column)], pooled)
