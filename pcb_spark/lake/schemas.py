"""Schemas of the tables; they stand here once and every module imports them."""

from __future__ import annotations

from typing import Final

from pyspark.sql import types as t

from pcb_spark.core import names, validity


def _struct(*fields: tuple[str, t.DataType, bool]) -> t.StructType:
    return t.StructType([t.StructField(*field) for field in fields])


_STRING = t.StringType()
_TIME = t.TimestampType()
_DATE = t.DateType()
_LONG = t.LongType()
_DOUBLE = t.DoubleType()
_STRINGS = t.ArrayType(_STRING, containsNull=False)

#: What a figure is of, see ``scopes``.
SCOPE_KIND: Final = "scope_kind"
SCOPE_VALUE: Final = "scope_value"

_TRACEABILITY = (
    (names.IMAGE_ID, _STRING, False),
    (names.SOURCE_URI, _STRING, False),
    (names.LINE, _STRING, True),
    (names.LOT, _STRING, True),
    (names.BOARD_ID, _STRING, False),
    (names.POSITION, _STRING, True),
    (names.PART_NUMBER, _STRING, True),
    (names.CAPTURED_AT, _TIME, False),
)
TRACEABILITY: Final = tuple(name for name, _, _ in _TRACEABILITY)

IMAGES: Final = _struct(
    *_TRACEABILITY,
    (names.IMAGE, t.BinaryType(), False),
    (names.REFERENCE, t.BinaryType(), True),
    (names.REFERENCE_URI, _STRING, True),
    (names.REFERENCE_SHA256, _STRING, True),
    (names.WIDTH, t.IntegerType(), False),
    (names.HEIGHT, t.IntegerType(), False),
    (names.CONTENT_SHA256, _STRING, False),
    (names.CAPTURE_DATE, _DATE, False),
)

REJECTS: Final = _struct(
    (names.SOURCE_URI, _STRING, False),
    (names.STAGE, _STRING, False),
    (names.KIND, _STRING, False),
    (names.REASON, _STRING, False),
    (names.DETAIL, _STRING, True),
    (names.LENGTH, _LONG, True),
    (names.SEEN_AT, _TIME, False),
    (names.CAPTURE_DATE, _DATE, True),
    (names.RUN_ID, _STRING, False),
)

VERDICTS: Final = _struct(
    (names.IMAGE_ID, _STRING, False),
    (names.VERDICT, _STRING, True),
    (names.DEFECTS, _STRING, True),
    (names.OPERATOR_ID, _STRING, True),
    (names.VERIFIED_AT, _TIME, True),
    (names.OPERATORS_DISAGREE, t.BooleanType(), True),
)

#: What became of each version of each file: ``outcome`` is ``ok``, the reason of its reject, or
#: ``pruned``.
FILES: Final = _struct(
    (names.IMAGE_ID, _STRING, False),
    (names.SOURCE_URI, _STRING, False),
    (names.LENGTH, _LONG, False),
    (names.MODIFIED_AT, _TIME, False),
    (names.CONTENT_SHA256, _STRING, False),
    (names.CAPTURE_DATE, _DATE, True),
    (names.OUTCOME, _STRING, False),
    (names.SEEN_AT, _TIME, False),
    (names.RUN_ID, _STRING, False),
)

#: The sidecars of a drop as they are, byte for byte; ``verdict_files.of_sidecars`` parses them.
SIDECARS: Final = _struct(
    (names.SOURCE_URI, _STRING, False),
    (names.CONTENT_SHA256, _STRING, False),
    ("content", t.BinaryType(), False),
    (names.SEEN_AT, _TIME, False),
)

#: How each view of a position stands, one row whenever that changed; see ``golden.views.Made``.
GOLDENS: Final = _struct(
    *((name, _STRING, True) for name in (names.LINE, names.PART_NUMBER, names.POSITION)),
    *((name, t.IntegerType(), False) for name in (names.VIEW, names.REVISION)),
    (validity.VALID_FROM, _DATE, False),
    *((name, t.BinaryType(), True) for name in (names.REFERENCE, names.SKETCH)),
    *((name, _STRING, True) for name in (names.REFERENCE_SHA256, names.REASON)),
    *((name, _STRINGS, False) for name in (names.GOLDEN_IMAGES, names.TAKEN)),
    *((n, t.IntegerType(), False) for n in (names.SEEN, names.SEEN_WHEN_MADE, names.BOARDS)),
    *((name, _TIME, True) for name in (names.FIRST_CAPTURED_AT, names.LAST_CAPTURED_AT)),
    (names.SPREAD, _DOUBLE, True),
    (names.RUN_ID, _STRING, False),
    (names.MADE_AT, _TIME, False),
)

FEATURES_TABLE: Final = _struct(
    (names.IMAGE_ID, _STRING, False),
    (names.FEATURES, t.ArrayType(t.FloatType()), False),
    (names.FEATURE_SET, _STRING, False),
    (names.CONTENT_SHA256, _STRING, False),
    (names.REFERENCE_SHA256, _STRING, True),
    (names.CAPTURE_DATE, _DATE, False),
)

OUT_OF_FOLD: Final = _struct(
    *_TRACEABILITY,
    (names.VERDICT, _STRING, False),
    (names.DEFECTS, _STRING, True),
    (names.FOLD, t.IntegerType(), False),
    (names.PROBABILITY, _DOUBLE, False),
    (names.GATED, t.BooleanType(), True),
    (names.WEIGHT, _DOUBLE, True),
    (names.MODEL_VERSION, _STRING, False),
    (names.RUN_ID, _STRING, False),
)

SUSPECTS: Final = _struct(
    *_TRACEABILITY,
    (names.VERDICT, _STRING, False),
    (names.DEFECTS, _STRING, True),
    (names.CONTENT_SHA256, _STRING, False),
    (names.PROBABILITY, _DOUBLE, True),
    (names.REASON, _STRING, False),
    (names.RANK, t.IntegerType(), False),
    (names.RUN_ID, _STRING, False),
)

SCORES: Final = _struct(
    *_TRACEABILITY,
    (names.STATUS, _STRING, False),
    (names.REASON, _STRING, True),
    (names.PROBABILITY, _DOUBLE, True),
    (names.THRESHOLD, _DOUBLE, False),
    (names.DECISION, _STRING, False),
    (names.REVIEW, _STRING, True),
    (names.REVIEW_PROBABILITY, _DOUBLE, True),
    (names.IN_TRAINING_WINDOW, t.BooleanType(), True),
    (names.REFERENCE_SHA256, _STRING, True),
    (names.MODEL_VERSION, _STRING, False),
    (names.MODEL_SHA256, _STRING, False),
    (names.FEATURE_SET, _STRING, False),
    (names.RUN_ID, _STRING, False),
    (names.SCORED_AT, _TIME, False),
    (names.CAPTURE_DATE, _DATE, False),
)

#: Who was asked to look, by the gate that was in force while there was no verdict; see
#: ``learning.gate``.
REVIEWS: Final = _struct(
    (names.IMAGE_ID, _STRING, False),
    (names.PROBABILITY, _DOUBLE, True),
    (names.THRESHOLD, _DOUBLE, False),
    (names.DECISION, _STRING, False),
    (names.REVIEW, _STRING, True),
    (names.REVIEW_PROBABILITY, _DOUBLE, False),
    (names.SLIP_SEEN_PROBABILITY, _DOUBLE, False),
    (names.MODEL_VERSION, _STRING, False),
    (names.RUN_ID, _STRING, False),
    (names.SCORED_AT, _TIME, False),
    (names.CAPTURE_DATE, _DATE, False),
)

#: Every decision that a night published; none is ever changed or taken back.
DECISIONS: Final = _struct(
    (names.IMAGE_ID, _STRING, False),
    (names.CONTENT_SHA256, _STRING, False),
    (names.LINE, _STRING, True),
    (names.BOARD_ID, _STRING, False),
    (names.PROBABILITY, _DOUBLE, True),
    (names.THRESHOLD, _DOUBLE, False),
    (names.DECISION, _STRING, False),
    (names.REVIEW, _STRING, True),
    (names.REVIEW_PROBABILITY, _DOUBLE, True),
    (names.MODEL_VERSION, _STRING, False),
    (names.MODEL_SHA256, _STRING, False),
    (names.REGISTRY_VERSION, _STRING, False),
    (names.BUNDLE_SHA256, _STRING, False),
    (names.RUN_ID, _STRING, False),
    ("published_at", _TIME, False),
    (names.CAPTURE_DATE, _DATE, False),
)

#: The share cap of each date; ``night`` is that whose scores it is of, ``record`` all of it.
SHARE_CAPS: Final = _struct(
    (names.CAPTURE_DATE, _DATE, False),
    ("night", _DATE, False),
    (names.MODEL_SHA256, _STRING, False),
    ("scores_sha256", _STRING, False),
    ("share", _DOUBLE, False),
    ("value", _DOUBLE, False),
    ("record", _STRING, False),
    (names.RUN_ID, _STRING, False),
    ("made_at", _TIME, False),
)

#: Every number of every night, held against the days that its model was trained on; of a date that
#: was watched twice the last run counts.
MONITOR: Final = _struct(
    (names.CAPTURE_DATE, _DATE, False),
    (names.MODEL_VERSION, _STRING, False),
    (SCOPE_KIND, _STRING, False),
    (SCOPE_VALUE, _STRING, True),
    (names.LINE, _STRING, True),
    ("number", _STRING, False),
    ("statistic", _STRING, False),
    ("family", _STRING, False),
    *((name, _DOUBLE, False) for name in ("value", "expected", "effect", "p_value", "p_night")),
    ("n", _LONG, False),
    ("level", _STRING, False),
    (names.RUN_ID, _STRING, False),
    ("computed_at", _TIME, False),
)

#: Who stopped clearing, or let it go on, of a line, or of all where ``line`` is null.
CLEARING: Final = _struct(
    ("said_at", _TIME, False),
    ("action", _STRING, False),
    (names.LINE, _STRING, True),
    ("who", _STRING, False),
    ("why", _STRING, False),
    (names.RUN_ID, _STRING, False),
)

#: Who made which version champion, when, and why; the last row is in force.
PROMOTIONS: Final = _struct(
    ("number", t.IntegerType(), False),
    ("promoted_at", _TIME, False),
    ("action", _STRING, False),
    ("model", _STRING, False),
    ("from_version", _STRING, True),
    ("to_version", _STRING, False),
    (names.MODEL_VERSION, _STRING, False),
    (names.BUNDLE_SHA256, _STRING, False),
    ("trained_until", _DATE, False),
    ("who", _STRING, False),
    ("why", _STRING, True),
    ("forced", t.BooleanType(), False),
    ("evidence", _STRING, False),
    (names.RUN_ID, _STRING, False),
)

TRIALS: Final = _struct(
    (names.RUN_ID, _STRING, False),
    ("study", _STRING, False),
    ("trial", t.IntegerType(), False),
    *((name, _STRINGS, False) for name in ("levels", "pooling")),
    ("difference", t.BooleanType(), False),
    ("classifier", _STRING, False),
    ("roc_auc", _DOUBLE, False),
    ("lower", _DOUBLE, True),
    ("upper", _DOUBLE, True),
    ("roc_auc_by_fold", t.ArrayType(_DOUBLE, containsNull=True), False),
    *((rate, _DOUBLE, True) for rate in ("slip_rate", "worst_slip_rate")),
    *((rate, _DOUBLE, True) for rate in ("false_call_reduction", "review_reduction")),
    ("feature_count", t.IntegerType(), False),
    ("milliseconds", _DOUBLE, False),
)

METRICS: Final = _struct(
    (names.RUN_ID, _STRING, False),
    (names.MODEL_VERSION, _STRING, False),
    (SCOPE_KIND, _STRING, False),
    (SCOPE_VALUE, _STRING, True),
    ("metric", _STRING, False),
    ("value", _DOUBLE, True),
    ("lower", _DOUBLE, True),
    ("upper", _DOUBLE, True),
    ("n", _LONG, False),
    ("computed_at", _TIME, False),
)

RUNS: Final = _struct(
    (names.RUN_ID, _STRING, False),
    ("job", _STRING, False),
    (names.KIND, _STRING, False),
    ("inputs", _STRING, False),
    ("rows_in", _LONG, False),
    ("rows_out", _LONG, False),
    ("rows_rejected", _LONG, False),
    ("started_at", _TIME, False),
    ("seconds", _DOUBLE, False),
    ("versions", _STRING, False),
    ("git_sha", _STRING, True),
    ("config_sha256", _STRING, False),
)
