"""The share cap: no night clears a larger share of its images than the model's evidence did.

A threshold was chosen where a certain share of out-of-fold images lay below it. Where light, camera
or boards change, scores of all images may slide, and the same threshold would clear more than it
was judged by. So the threshold that is served is the smaller of the chosen one and the cap: the
score below which that share of the last night's images lies, and a margin for chance. Both sides
are images as they come, good or not, so no verdict is waited for.

The cap is a record, which says of which night and which scores it is. It can't see defects that
change alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pcb_spark.core.errors import BundleError, InputError
from pcb_spark.core.policy import SegmentThresholds, round_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of ``images`` out-of-fold images ``share``, 0..1, lay below a threshold."""

    share: float
    images: int

    @classmethod
    def of(cls, threshold: Mapping[str, Any]) -> Evidence | None:
        """Read it off a threshold in a bundle's manifest; None of earlier versions."""
        if not {"slips", "cleared_good", "defects", "good"} <= threshold.keys():
            return None
        images = threshold["defects"] + threshold["good"]
        below = threshold["slips"] + threshold["cleared_good"]
        return cls(below / images, images) if images else None


@dataclass(frozen=True, slots=True)
class Cap:
    """``share`` 0..1 of the night's images lies below ``value``, a score; 1.0 caps nothing."""

    share: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCap:
    """The caps that one night's scores give one model's thresholds.

    Attributes
    ----------
    night : capture date of the images, as ``2024-02-27``.
    model_sha256 : the model that scored them, and whose thresholds are capped.
    scores_sha256 : of the scores, sorted, as little-endian float32.
    pooled : of the pooled threshold.
    by_segment : of segments with a threshold of their own.
    """

    night: str
    model_sha256: str
    scores_sha256: str
    pooled: Cap
    by_segment: Mapping[str, Cap] = field(default_factory=dict)

    def limit(self, thresholds: SegmentThresholds, *, model_sha256: str) -> SegmentThresholds:
        """Lower each threshold to its cap; a segment without a cap keeps its own.

        Raises
        ------
        BundleError : the record is of another model, whose scores these thresholds don't know.
        """
        if model_sha256 != self.model_sha256:
            raise BundleError(
                f"the share cap of {self.night} is of another model",
                expected=f"model_sha256 {model_sha256}",
                got=self.model_sha256,
                hint="take the record that lies beside the model, or score a night with this one",
            )
        own = {
            name: min(value, self.by_segment[name].value) if name in self.by_segment else value
            for name, value in thresholds.by_segment.items()
        }
        return SegmentThresholds(min(thresholds.pooled, self.pooled.value), thresholds.column, own)

    @property
    def sha256(self) -> str:
        """Of the record's text, by which it is told from others."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Give the record's text, which ``from_json`` reads."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ShareCap:
        """Read a record.

        Raises
        ------
        BundleError : the text is no such record.
        """
        try:
            raw = json.loads(text)
            own = {str(name): _cap(each) for name, each in raw.pop("by_segment").items()}
            record = cls(**{**raw, "pooled": _cap(raw["pooled"]), "by_segment": own})
            date.fromisoformat(record.night)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what, hint = "the record of a share cap can't be read", "score a whole night again"
            raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None
        return record


def share_below(probability: ArrayLike, threshold: float) -> float:
    """Share, 0..1, of the images with a score that lies below the threshold; 0 of none."""
    scores = _scored(probability)
    below = np.count_nonzero(scores < np.float32(threshold))
    return below / len(scores) if len(scores) else 0.0


def cap(probability: ArrayLike, share: float) -> Cap:
    """Give the largest score with no more than ``share`` of one night's scores (n,) below it.

    Raises
    ------
    InputError : no image has a score, so that there is nothing to compare with.
    """
    ranked = np.sort(_scored(probability))
    if not len(ranked):
        what = "a night without a score gives no share cap"
        raise InputError(what, expected="a score of one image at least", hint="keep the last cap")
    # 0.29 * 100 must not become 28 by the last bit of 0.29.
    below = math.floor(share * len(ranked) * (1 + 1e-12))
    return Cap(share, float(ranked[below]) if below < len(ranked) else 1.0)


def with_margin(share: float, *, night: int, evidence: int, errors: float = 1.0) -> float:
    """Raise a share by what chance does to it, so that a night pays for real changes alone.

    Without it half of the nights that are like all others lower the threshold.

    Parameters
    ----------
    night, evidence : scored images of the night, and those that the share was counted on.
    errors : how many standard errors of the difference of both shares.
    """
    if not night or not evidence:
        return share
    return min(1.0, share + errors * math.sqrt(share * (1 - share) * (1 / night + 1 / evidence)))


def of_night(
    night: date,
    probability: ArrayLike,
    segments: Sequence[str | None],
    *,
    evidence: Evidence,
    segment_evidence: Mapping[str, Evidence],
    model_sha256: str,
    before: ShareCap | None = None,
    errors: float = 1.0,
) -> ShareCap:
    """Make the record of a night.

    A segment that has no image in it keeps its cap of ``before``, if that is of the same model.

    Parameters
    ----------
    probability, segments : (n,) scores of the night's images, and the segment of each.
    evidence, segment_evidence : of the pooled threshold, and of each segment's own.
    errors : the margin, see ``with_margin``.

    Raises
    ------
    InputError : as ``cap`` does.
    """
    scores, labels = round_scores(probability), np.asarray(segments, dtype=object)
    kept = dict(before.by_segment) if before and before.model_sha256 == model_sha256 else {}
    own = {name: each for name, each in kept.items() if name in segment_evidence}
    for name, known in segment_evidence.items():
        of_segment = scores[labels == name]
        if not np.isnan(of_segment).all():
            own[name] = _capped(of_segment, known, errors)
    ranked = np.sort(_scored(scores)).astype("<f4")
    return ShareCap(
        night=night.isoformat(),
        model_sha256=model_sha256,
        scores_sha256=hashlib.sha256(ranked.tobytes()).hexdigest(),
        pooled=_capped(scores, evidence, errors),
        by_segment=own,
    )


def _capped(scores: ArrayLike, evidence: Evidence, errors: float) -> Cap:
    night = len(_scored(scores))
    wanted = with_margin(evidence.share, night=night, evidence=evidence.images, errors=errors)
    return cap(scores, wanted)


def _scored(probability: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    scores = round_scores(probability)
    return scores[~np.isnan(scores)]


def _cap(raw: Mapping[str, float]) -> Cap:
    found = Cap(float(raw["share"]), float(raw["value"]))
    if not (0 <= found.share <= 1 and 0 <= found.value <= 1):
        message = f"share and value lie within 0..1, got {found}"
        raise ValueError(message)
    return found
