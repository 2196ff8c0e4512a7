"""Why an image was decided as it was, and why somebody looks at it or nobody does, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pcb_spark.core import names, policy, review
from pcb_spark.report.words import NONE

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What held when an image was decided; None is what isn't known, or wasn't so.

    Attributes
    ----------
    manifest : of the model that decided.
    stop : the row of ``clearing`` by which nothing was cleared.
    cap : the row of ``share_caps`` of its date.
    """

    manifest: Manifest | None
    stop: Mapping[str, Any] | None
    cap: Mapping[str, Any] | None


def sentences(score: Mapping[str, Any] | None, then: Circumstances) -> list[str]:
    """Say what the rule did, what lowered its threshold, and who looks.

    Parameters
    ----------
    score : a row of ``scores``; None where no run has scored the image.
    """
    if score is None:
        return ["No run has scored it yet, so it goes to an operator."]
    said = [decided(score), *lowered(score, then), looked(score)]
    if score[names.IN_TRAINING_WINDOW]:
        said.append("The model was trained on this day, and may know the verdict.")
    return said


def decided(score: Mapping[str, Any]) -> str:
    """Say what the rule made of the score."""
    if score[names.DECISION] == policy.UNSCORABLE:
        return f"It can't be scored: {score[names.REASON] or 'its score is no number'}."
    told = f"{number(score[names.PROBABILITY])}"
    threshold = number(score[names.THRESHOLD])
    if score[names.DECISION] == policy.PASS:
        return f"Its score, {told}, lies below the threshold, {threshold}: cleared."
    return f"Its score, {told}, doesn't lie below the threshold, {threshold}: not cleared."


def lowered(score: Mapping[str, Any], then: Circumstances) -> list[str]:
    """Say why the threshold isn't the model's own, where it isn't."""
    manifest, threshold = then.manifest, score[names.THRESHOLD]
    new = policy.unseen(manifest.known, score) if manifest else ()
    if new:
        told = ", ".join(f"{name.replace('_', ' ')} {score[name]}" for name in new)
        return [f"The model was trained without {told}, so the threshold is 0."]
    if then.stop and threshold == 0:
        return [_stopped(then.stop)]
    own = _own(manifest, score) if manifest else None
    if own is None or threshold >= own:
        zero = own == 0 and threshold == 0
        return ["The model's own threshold is 0: it clears nothing."] if zero else []
    night = f" of {then.cap['night']}" if then.cap else ""
    return [f"The share cap{night} lowered the threshold from the model's own, {number(own)}."]


def _stopped(stop: Mapping[str, Any]) -> str:
    what = f"line {stop[names.LINE]}" if stop[names.LINE] else "all lines"
    return (
        f"Clearing of {what} was stopped by {stop['who']} at {moment(stop['said_at'])}: "
        f"{stop['why']}."
    )


def _own(manifest: Manifest, score: Mapping[str, Any]) -> float:
    thresholds = policy.SegmentThresholds.of(manifest.threshold)
    (found,) = thresholds.values([score.get(thresholds.column or "")])
    return float(found)


def looked(score: Mapping[str, Any]) -> str:
    """Say why an operator looks, or why nobody does."""
    why, likely = score[names.REVIEW], score[names.REVIEW_PROBABILITY]
    if why is None:
        drawn = "" if likely is None else f", which had a chance of {likely:.1%}"
        return f"Nobody looks: it was cleared, and neither control board nor audit drew it{drawn}."
    if why in _ASKED and score[names.DECISION] == policy.PASS:
        return f"An operator looks: an earlier gate asked for it ({why}), and that stays so."
    return f"An operator looks: {_WHY[why]}."


_ASKED = (review.DECISION, review.UNSCORABLE, review.UNSEEN)
_WHY = {
    review.DECISION: "it wasn't cleared",
    review.UNSCORABLE: "nothing is cleared that has no score",
    review.UNSEEN: "nothing bounds the slips of what the model has never seen",
    review.CONTROL: "it is of a control board, drawn by its id, of which every image is looked at "
    "whatever its score",
    review.AUDIT: "an audit drew it from all that was cleared",
    review.AUDIT_HIGH: "an audit drew it from the cleared images with the highest scores",
}


def outcome(score: Mapping[str, Any] | None, verdict: Mapping[str, Any] | None) -> str:
    """Say what an operator found, and what that makes of the decision."""
    found = verdict[names.VERDICT] if verdict else None
    if found is None or verdict is None:
        return "no verdict"
    kinds = (verdict[names.DEFECTS] or "").replace("|", ", ")
    told = f"{found} ({kinds})" if kinds else f"{found}"
    if verdict[names.OPERATORS_DISAGREE]:
        told += ", operators disagree"
    if score is None or score[names.DECISION] == policy.UNSCORABLE:
        return told
    cleared = score[names.DECISION] == policy.PASS
    return f"{told}: {_OUTCOMES[found == names.VERDICT_FAIL, cleared]}"


_OUTCOMES = {
    (True, True): "a slip",
    (True, False): "a defect that wasn't cleared",
    (False, True): "rightly cleared",
    (False, False): "a false call that wasn't cleared",
}


def number(value: float | None) -> str:
    """A score or threshold; n/a where there is none."""
    return NONE if value is None else f"{value:.4g}"


def moment(value: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{value:%Y-%m-%d %H:%M} UTC"
