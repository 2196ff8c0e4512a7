"""The scoring stage: images and a bundle become probabilities and decisions, no row left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark import graphs, inference, policy
from pcb_spark import schemas as s

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pcb_spark.bundle import Manifest


def score(
    images: DataFrame, graph: bytes, plan: inference.InferencePlan, *, difference: bool
) -> DataFrame:
    """Run the fused graph, pixels to probability.

    Returns
    -------
    Traceability, ``capture_date``, ``probability`` (null where there is a ``reason``), ``reason``,
    ``detail``: as many rows as ``images`` has.
    """
    columns = [*s.TRACEABILITY, s.CAPTURE_DATE, s.IMAGE]
    if difference:
        columns += [s.REFERENCE, s.REFERENCE_SHA256]
    chosen = images.select(columns)
    made = inference.run_images(chosen, graph, graphs.PROBABILITY, plan, difference=difference)
    return made.select(*s.TRACEABILITY, s.CAPTURE_DATE, s.PROBABILITY, s.REASON, s.DETAIL)


def score_features(features: DataFrame, trees: bytes) -> DataFrame:
    """Run the trees alone over features that are already there, where pixels need no second look.

    Parameters
    ----------
    features : traceability, ``capture_date`` and ``features``.
    trees : ``graphs.trees_graph`` of the bundle's classifier: the same nodes as in the fused graph.
    """
    carried = [*s.TRACEABILITY, s.CAPTURE_DATE]
    item = F.struct(*carried, F.lit(0).alias(inference.SLOT))
    batches = features.select(
        F.array(item).alias(inference.ITEMS), F.array(s.FEATURES).alias(graphs.FEATURES)
    )
    scored = inference.run(batches, trees, graphs.PROBABILITY)
    item_of = F.col(inference.ITEMS)[0]
    return scored.select(
        *(item_of[name].alias(name) for name in carried),
        F.col(inference.OUTPUT)[0].alias(s.PROBABILITY),
        F.lit(None).cast("string").alias(s.REASON),
        F.lit(None).cast("string").alias(s.DETAIL),
    )


def decide(scored: DataFrame, manifest: Manifest, *, audit_share: float, seed: int) -> DataFrame:
    """Turn probabilities into decisions by the rule of ``policy`` and draw the audit.

    The audit is a random share of the cleared images that a person sees all the same: without it
    cleared images would never get a verdict again. The draw is a hash of image and seed, so that a
    repeated run draws the same ones.
    """
    unit = F.pmod(F.xxhash64(s.IMAGE_ID, F.lit(seed)), F.lit(1_000_000)) / 1_000_000
    return scored.withColumns({
        s.PROBABILITY: F.col(s.PROBABILITY).cast("double"),
        s.STATUS: F.when(F.col(s.REASON).isNull(), s.STATUS_OK).otherwise(s.STATUS_UNSCORABLE),
        s.THRESHOLD: _threshold(policy.SegmentThresholds.of(manifest.threshold)),
    }).withColumns({
        s.DECISION: F.expr(policy.decision_sql(s.PROBABILITY, s.THRESHOLD)),
    }).withColumns({
        s.AUDIT: (F.col(s.DECISION) == policy.PASS) & (unit < audit_share),
        s.MODEL_VERSION: F.lit(manifest.model_version),
        s.MODEL_SHA256: F.lit(manifest.model_sha256),
        s.FEATURE_SET: F.lit(manifest.feature_set),
    })  # fmt: skip


def _threshold(thresholds: policy.SegmentThresholds) -> Column:
    """Threshold of each row: its segment's own, else the pooled one."""
    pooled = F.lit(thresholds.pooled)
    if thresholds.column is None or not thresholds.by_segment:
        return pooled
    pairs = [F.lit(each) for pair in thresholds.by_segment.items() for each in pair]
    return F.coalesce(F.create_map(*pairs)[F.col(thresholds.column)], pooled)
