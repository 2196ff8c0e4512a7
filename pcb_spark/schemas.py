"""Column names, table schemas and closed lists; they stand here once and every module imports them.

``IMAGES`` is what Spark writes, ``images_unischema`` what petastorm reads; a test holds their
columns together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import types as t

from pcb_spark import registration

if TYPE_CHECKING:
    from petastorm.unischema import Unischema

IMAGE_ID: Final = "image_id"
SOURCE_URI: Final = "source_uri"
LINE: Final = "line"
LOT: Final = "lot"
BOARD_ID: Final = "board_id"
POSITION: Final = "position"
PART_NUMBER: Final = "part_number"
CAPTURED_AT: Final = "captured_at"
CAPTURE_DATE: Final = "capture_date"
IMAGE: Final = "image"
REFERENCE: Final = "reference"
REFERENCE_URI: Final = "reference_uri"
REFERENCE_SHA256: Final = "reference_sha256"
WIDTH: Final = "width"
HEIGHT: Final = "height"
LENGTH: Final = "length"
CONTENT_SHA256: Final = "content_sha256"
VERDICT: Final = "verdict"
DEFECTS: Final = "defects"
OPERATOR_ID: Final = "operator_id"
VERIFIED_AT: Final = "verified_at"
REASON: Final = "reason"
DETAIL: Final = "detail"
STAGE: Final = "stage"
KIND: Final = "kind"
SEEN_AT: Final = "seen_at"
MODIFIED_AT: Final = "modified_at"
OUTCOME: Final = "outcome"
OPERATORS_DISAGREE: Final = "operators_disagree"
RUN_ID: Final = "run_id"
FEATURES: Final = "features"
FEATURE_SET: Final = "feature_set"
FOLD: Final = "fold"
STATUS: Final = "status"
PROBABILITY: Final = "probability"
THRESHOLD: Final = "threshold"
DECISION: Final = "decision"
AUDIT: Final = "audit"
MODEL_VERSION: Final = "model_version"
MODEL_SHA256: Final = "model_sha256"
SCORED_AT: Final = "scored_at"
RANK: Final = "rank"

VERDICT_PASS: Final = "pass"
VERDICT_FAIL: Final = "fail"
STATUS_OK: Final = "ok"
STATUS_UNSCORABLE: Final = "unscorable"
#: In ``files``: retention removed this image.
PRUNED: Final = "pruned"

#: What a reject is a reject of.
KIND_IMAGE: Final = "image"
KIND_REFERENCE: Final = "reference"
KIND_VERDICT: Final = "verdict"

#: Reasons that don't come from ``images.REASONS``.
REFERENCE_MISSING: Final = "reference_missing"
REFERENCE_UNUSABLE: Final = "reference_unusable"
REFERENCE_MISALIGNED: Final = registration.MISALIGNED
REFERENCE_SIZE_DIFFERS: Final = "reference_size_differs"
REFERENCE_AMBIGUOUS: Final = "reference_ambiguous"
REFERENCE_WINDOW_UNUSABLE: Final = "reference_window_unusable"
CAPTURE_TIME_MISSING: Final = "capture_time_missing"
CAPTURE_TIME_IN_FUTURE: Final = "capture_time_in_future"
UNREADABLE_FILE: Final = "unreadable_file"
UNUSABLE_REUPLOAD: Final = "unusable_reupload"
VERDICT_WITHOUT_IMAGE: Final = "verdict_without_image"
VERDICT_CONFLICT: Final = "verdict_conflict"
VERDICT_UNKNOWN: Final = "verdict_unknown"
VERDICT_SUPERSEDED: Final = "verdict_superseded"
VERDICT_UNREADABLE: Final = "verdict_unreadable"
REJECT_REASONS: Final = (
    REFERENCE_MISSING,
    REFERENCE_UNUSABLE,
    REFERENCE_MISALIGNED,
    REFERENCE_SIZE_DIFFERS,
    REFERENCE_AMBIGUOUS,
    REFERENCE_WINDOW_UNUSABLE,
    CAPTURE_TIME_MISSING,
    CAPTURE_TIME_IN_FUTURE,
    UNREADABLE_FILE,
    UNUSABLE_REUPLOAD,
    VERDICT_WITHOUT_IMAGE,
    VERDICT_CONFLICT,
    VERDICT_UNKNOWN,
    VERDICT_SUPERSEDED,
    VERDICT_UNREADABLE,
)

#: Why a verdict is suspected to be wrong.
SCORE_CONTRADICTS: Final = "score_contradicts"
DUPLICATE_CONTRADICTS: Final = "duplicate_contradicts"
SUSPECT_REASONS: Final = (SCORE_CONTRADICTS, DUPLICATE_CONTRADICTS)


def _struct(*fields: tuple[str, t.DataType, bool]) -> t.StructType:
    return t.StructType([t.StructField(*field) for field in fields])


_STRING = t.StringType()
_TIME = t.TimestampType()
_DATE = t.DateType()
_LONG = t.LongType()
_DOUBLE = t.DoubleType()

_TRACEABILITY = (
    (IMAGE_ID, _STRING, False),
    (SOURCE_URI, _STRING, False),
    (LINE, _STRING, True),
    (LOT, _STRING, True),
    (BOARD_ID, _STRING, False),
    (POSITION, _STRING, True),
    (PART_NUMBER, _STRING, True),
    (CAPTURED_AT, _TIME, False),
)
TRACEABILITY: Final = tuple(name for name, _, _ in _TRACEABILITY)

IMAGES: Final = _struct(
    *_TRACEABILITY,
    (IMAGE, t.BinaryType(), False),
    (REFERENCE, t.BinaryType(), True),
    (REFERENCE_URI, _STRING, True),
    (REFERENCE_SHA256, _STRING, True),
    (WIDTH, t.IntegerType(), False),
    (HEIGHT, t.IntegerType(), False),
    (CONTENT_SHA256, _STRING, False),
    (CAPTURE_DATE, _DATE, False),
)

REJECTS: Final = _struct(
    (SOURCE_URI, _STRING, False),
    (STAGE, _STRING, False),
    (KIND, _STRING, False),
    (REASON, _STRING, False),
    (DETAIL, _STRING, True),
    (LENGTH, _LONG, True),
    (SEEN_AT, _TIME, False),
    (CAPTURE_DATE, _DATE, True),
    (RUN_ID, _STRING, False),
)

VERDICTS: Final = _struct(
    (IMAGE_ID, _STRING, False),
    (VERDICT, _STRING, True),
    (DEFECTS, _STRING, True),
    (OPERATOR_ID, _STRING, True),
    (VERIFIED_AT, _TIME, True),
    (OPERATORS_DISAGREE, t.BooleanType(), True),
)

#: What became of each version of each file: ``outcome`` is ``ok``, the reason of its reject, or
#: ``pruned``.
FILES: Final = _struct(
    (IMAGE_ID, _STRING, False),
    (SOURCE_URI, _STRING, False),
    (LENGTH, _LONG, False),
    (MODIFIED_AT, _TIME, False),
    (CONTENT_SHA256, _STRING, False),
    (CAPTURE_DATE, _DATE, True),
    (OUTCOME, _STRING, False),
    (SEEN_AT, _TIME, False),
    (RUN_ID, _STRING, False),
)

#: What the sidecars of a drop say, as rows of a verdict file.
SIDECARS: Final = _struct(
    (SOURCE_URI, _STRING, False),
    (CONTENT_SHA256, _STRING, False),
    ("content", t.BinaryType(), False),
    (SEEN_AT, _TIME, False),
)

FEATURES_TABLE: Final = _struct(
    (IMAGE_ID, _STRING, False),
    (FEATURES, t.ArrayType(t.FloatType()), False),
    (FEATURE_SET, _STRING, False),
    (CONTENT_SHA256, _STRING, False),
    (REFERENCE_SHA256, _STRING, True),
    (CAPTURE_DATE, _DATE, False),
)

OUT_OF_FOLD: Final = _struct(
    *_TRACEABILITY,
    (VERDICT, _STRING, False),
    (DEFECTS, _STRING, True),
    (FOLD, t.IntegerType(), False),
    (PROBABILITY, _DOUBLE, False),
    (MODEL_VERSION, _STRING, False),
    (RUN_ID, _STRING, False),
)

SUSPECTS: Final = _struct(
    *_TRACEABILITY,
    (VERDICT, _STRING, False),
    (DEFECTS, _STRING, True),
    (CONTENT_SHA256, _STRING, False),
    (PROBABILITY, _DOUBLE, True),
    (REASON, _STRING, False),
    (RANK, t.IntegerType(), False),
    (RUN_ID, _STRING, False),
)

SCORES: Final = _struct(
    *_TRACEABILITY,
    (STATUS, _STRING, False),
    (REASON, _STRING, True),
    (PROBABILITY, _DOUBLE, True),
    (THRESHOLD, _DOUBLE, False),
    (DECISION, _STRING, False),
    (AUDIT, t.BooleanType(), False),
    (MODEL_VERSION, _STRING, False),
    (MODEL_SHA256, _STRING, False),
    (FEATURE_SET, _STRING, False),
    (RUN_ID, _STRING, False),
    (SCORED_AT, _TIME, False),
    (CAPTURE_DATE, _DATE, False),
)

TRIALS: Final = _struct(
    (RUN_ID, _STRING, False),
    ("study", _STRING, False),
    ("trial", t.IntegerType(), False),
    ("levels", t.ArrayType(_STRING, containsNull=False), False),
    ("pooling", t.ArrayType(_STRING, containsNull=False), False),
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
    (RUN_ID, _STRING, False),
    (MODEL_VERSION, _STRING, False),
    ("scope", _STRING, False),
    ("metric", _STRING, False),
    ("value", _DOUBLE, True),
    ("lower", _DOUBLE, True),
    ("upper", _DOUBLE, True),
    ("n", _LONG, False),
    ("computed_at", _TIME, False),
)

RUNS: Final = _struct(
    (RUN_ID, _STRING, False),
    ("job", _STRING, False),
    (KIND, _STRING, False),
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


def images_unischema() -> Unischema:
    """Return petastorm's view of ``images``: pictures as (H, W) or (H, W, 3) uint8 arrays.

    petastorm is imported here and not above: it needs OpenCV, which executors don't.
    """
    import numpy as np
    import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads
    from petastorm.codecs import CompressedImageCodec, ScalarCodec
    from petastorm.unischema import Unischema, UnischemaField

    picture = CompressedImageCodec("png")
    kinds: dict[t.DataType, tuple[Any, Any, tuple[int | None, ...]]] = {
        t.StringType(): (np.str_, ScalarCodec(_STRING), ()),
        t.TimestampType(): (np.datetime64, ScalarCodec(_TIME), ()),
        t.IntegerType(): (np.int32, ScalarCodec(t.IntegerType()), ()),
        t.BinaryType(): (np.uint8, picture, (None, None, 3)),
        # a partition column: petastorm reads it off the folder's name
        t.DateType(): (np.str_, ScalarCodec(_STRING), ()),
    }
    fields = []
    for field in IMAGES.fields:
        dtype, codec, shape = kinds[field.dataType]
        fields.append(UnischemaField(field.name, dtype, shape, codec, field.nullable))
    return Unischema("images", fields)
