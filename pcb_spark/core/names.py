"""Names that all rooms share: columns, closed lists of reasons, verdicts and statuses.

They stand here once; tables, Spark and the edge machine spell none of them again.
"""

from __future__ import annotations

from typing import Final

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
REVIEW: Final = "review"
REVIEW_PROBABILITY: Final = "review_probability"
SLIP_SEEN_PROBABILITY: Final = "slip_seen_probability"
IN_TRAINING_WINDOW: Final = "in_training_window"
GATED: Final = "gated"
WEIGHT: Final = "weight"
MODEL_VERSION: Final = "model_version"
MODEL_SHA256: Final = "model_sha256"
REGISTRY_VERSION: Final = "registry_version"
BUNDLE_SHA256: Final = "bundle_sha256"
SCORED_AT: Final = "scored_at"
RANK: Final = "rank"

VIEW: Final = "view"
REVISION: Final = "revision"
SKETCH: Final = "sketch"
GOLDEN_IMAGES: Final = "images"
TAKEN: Final = "taken"
SEEN: Final = "seen"
SEEN_WHEN_MADE: Final = "seen_when_made"
BOARDS: Final = "boards"
FIRST_CAPTURED_AT: Final = "first_captured_at"
LAST_CAPTURED_AT: Final = "last_captured_at"
SPREAD: Final = "spread"
MADE_AT: Final = "made_at"

#: What an operator found; not yet verified is null.
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

#: Why an input can't be used, besides ``IMAGE_REASONS``.
REFERENCE_MISSING: Final = "reference_missing"
REFERENCE_UNUSABLE: Final = "reference_unusable"
REFERENCE_MISALIGNED: Final = "reference_misaligned"
REFERENCE_SIZE_DIFFERS: Final = "reference_size_differs"
REFERENCE_AMBIGUOUS: Final = "reference_ambiguous"
REFERENCE_WINDOW_UNUSABLE: Final = "reference_window_unusable"
GOLDEN_MISSING: Final = "golden_missing"
CAPTURE_TIME_MISSING: Final = "capture_time_missing"
CAPTURE_TIME_IN_FUTURE: Final = "capture_time_in_future"
CAPTURE_TIME_UNREADABLE: Final = "capture_time_unreadable"
VERIFIED_AT_UNREADABLE: Final = "verified_at_unreadable"
UNREADABLE_FILE: Final = "unreadable_file"
UNUSABLE_REUPLOAD: Final = "unusable_reupload"
VERDICT_WITHOUT_IMAGE: Final = "verdict_without_image"
VERDICT_CONFLICT: Final = "verdict_conflict"
VERDICT_UNKNOWN: Final = "verdict_unknown"
VERDICT_SUPERSEDED: Final = "verdict_superseded"
VERDICT_UNREADABLE: Final = "verdict_unreadable"
VERDICT_ROW_MALFORMED: Final = "verdict_row_malformed"
VERDICT_FILE_MALFORMED: Final = "verdict_file_malformed"
VERDICT_AMBIGUOUS: Final = "verdict_ambiguous"
MESSAGE_WITHOUT_VERDICT: Final = "message_without_verdict"
REJECT_REASONS: Final = (
    REFERENCE_MISSING,
    REFERENCE_UNUSABLE,
    REFERENCE_MISALIGNED,
    REFERENCE_SIZE_DIFFERS,
    REFERENCE_AMBIGUOUS,
    REFERENCE_WINDOW_UNUSABLE,
    GOLDEN_MISSING,
    CAPTURE_TIME_MISSING,
    CAPTURE_TIME_IN_FUTURE,
    CAPTURE_TIME_UNREADABLE,
    VERIFIED_AT_UNREADABLE,
    UNREADABLE_FILE,
    UNUSABLE_REUPLOAD,
    VERDICT_WITHOUT_IMAGE,
    VERDICT_CONFLICT,
    VERDICT_UNKNOWN,
    VERDICT_SUPERSEDED,
    VERDICT_UNREADABLE,
    VERDICT_ROW_MALFORMED,
    VERDICT_FILE_MALFORMED,
    VERDICT_AMBIGUOUS,
    MESSAGE_WITHOUT_VERDICT,
)

#: Why a verdict is suspected to be wrong.
SCORE_CONTRADICTS: Final = "score_contradicts"
DUPLICATE_CONTRADICTS: Final = "duplicate_contradicts"
SUSPECT_REASONS: Final = (SCORE_CONTRADICTS, DUPLICATE_CONTRADICTS)

#: What the named groups of a file name's pattern may be called.
GROUPS: Final = (LINE, LOT, BOARD_ID, POSITION, PART_NUMBER, CAPTURED_AT)

#: Why one image cannot be used: the closed list behind ``ImageError.reason``.
IMAGE_REASONS: Final[tuple[str, ...]] = (
    "empty_file",  # zero bytes
    "not_an_image",  # no signature of the five formats
    "truncated_image",  # ends too early, perhaps still being written
    "damaged_image",  # complete, but its pixels cannot be read
    "too_many_pixels",  # more than max_pixels, or than memory holds
    "unsupported_image",  # a kind of pixel or header that is not read
)

#: Where the references of a model come from: the drop, the line's own golden images, or these but
#: where an image has one from the drop, which a lead named for it.
HANDED_OVER: Final = "handed_over"
OWN: Final = "own"
OWN_OR_PINNED: Final = "own_or_pinned"
REFERENCE_SOURCES: Final = (HANDED_OVER, OWN, OWN_OR_PINNED)

#: Number formats of a backbone.
FP32: Final = "fp32"
INT8: Final = "int8"

#: What runs a graph on Spark: ONNXModel in the JVM, or ONNX Runtime in Spark's Python workers.
SYNAPSEML: Final = "synapseml"
ONNXRUNTIME: Final = "onnxruntime"
