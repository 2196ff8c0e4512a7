"""One image to the row that ``scores`` would hold of it: what an edge machine writes down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pcb_spark.core import golden_book, images, names, policy, review
from pcb_spark.core.scorer import Score, Scorer

if TYPE_CHECKING:
    from pcb_spark.core.edge_bundle import EdgeBundle
    from pcb_spark.core.layouts import Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided of one image, by the columns of ``scores``.

    Attributes
    ----------
    path : of the image, below its drop.
    unseen : columns whose value the model was trained without; an operator may want to know.
    share_cap_night, share_cap_sha256 : the record by which the threshold was capped; None where
        the bundle came with none.
    """

    image_id: str
    path: str
    line: str | None
    lot: str | None
    board_id: str
    position: str | None
    part_number: str | None
    captured_at: datetime | None
    reference: str | None
    content_sha256: str
    status: str
    reason: str | None
    detail: str | None
    probability: float | None
    threshold: float
    decision: str
    review: str | None
    review_probability: float
    unseen: tuple[str, ...]
    share_cap_night: str | None
    share_cap_sha256: str | None
    model_version: str
    model_sha256: str
    feature_set: str
    scored_at: datetime

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold; times as ISO 8601."""
        found = asdict(self)
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in found.items()}


def scorer_of(edge: EdgeBundle, *, max_pixels: int = images.DEFAULT_MAX_PIXELS) -> Scorer:
    """Make what scores by an edge bundle: its model, share cap and golden images."""
    return Scorer(
        edge.model, cap=edge.manifest.share_cap, goldens=edge.golden_book, max_pixels=max_pixels
    )


class Decider:
    """Decides by one edge bundle, as Spark does by the model bundle that it was made of."""

    def __init__(self, edge: EdgeBundle, *, max_pixels: int | None = None) -> None:
        self.manifest = edge.manifest
        pixels = max_pixels or edge.manifest.habits.max_pixels
        self.scorer = scorer_of(edge, max_pixels=pixels)
        self._cap = edge.manifest.share_cap
        evidence = edge.manifest.model.threshold
        self._high_from = policy.SegmentThresholds.of(evidence, review.HIGH_FROM)

    @property
    def compares(self) -> bool:
        """Whether its model compares images with references."""
        return self.manifest.model.difference

    @property
    def takes_handed_over(self) -> bool:
        """Whether what a drop names as reference counts; not where all are the line's own."""
        own = self.manifest.model.reading.references == names.OWN
        return self.compares and not (own and self.scorer.goldens is not None)

    def day(self, moment: datetime) -> date:
        """The day of a moment in the plant's zone."""
        return moment.astimezone(ZoneInfo(self.manifest.habits.timezone)).date()

    def decide(
        self,
        image: bytes,
        reference: bytes | None,
        *,
        path: str,
        image_id: str,
        traits: Traits,
        content_sha256: str,
        reference_path: str | None,
        now: datetime,
    ) -> Decision:
        """Score one image, decide, and say who still looks at it."""
        told = {name: getattr(traits, name) for name in policy.KNOWN}
        score = self.scorer.score(
            image, reference, traceability={**told, names.POSITION: traits.position},
            captured_on=self.day(traits.captured_at or now),
        )  # fmt: skip
        if score.golden is not None:
            reference_path = f"{golden_book.FOLDER}/{score.golden}"
        looked = self.review(score, told, image_id=image_id, board_id=traits.board_id)
        return Decision(
            image_id=image_id, path=path, line=traits.line, lot=traits.lot,
            board_id=traits.board_id, position=traits.position, part_number=traits.part_number,
            captured_at=traits.captured_at, reference=reference_path,
            content_sha256=content_sha256,
            status=names.STATUS_OK if score.reason is None else names.STATUS_UNSCORABLE,
            reason=score.reason, detail=score.detail,
            probability=score.probability, threshold=score.threshold, decision=score.decision,
            review=looked.reason, review_probability=looked.probability,
            unseen=self.unseen(told),
            share_cap_night=self._cap.night if self._cap else None,
            share_cap_sha256=self._cap.sha256 if self._cap else None,
            model_version=self.manifest.model.model_version,
            model_sha256=self.manifest.model.model_sha256,
            feature_set=self.manifest.model.feature_set,
            scored_at=now,
        )  # fmt: skip

    def review(
        self, score: Score, told: Mapping[str, str | None], *, image_id: str, board_id: str
    ) -> review.Review:
        """Say why an operator looks at an image of this traceability, and how likely that was."""
        (high_from,) = self._high_from.values([told.get(self._high_from.column or "")])
        return review.review(
            score.decision, score.probability, image_id=image_id, board_id=board_id,
            high_from=float(high_from), shares=self.manifest.shares,
            unseen=bool(policy.unseen(self.manifest.model.known, told)),
        )  # fmt: skip

    def unseen(self, told: Mapping[str, str | None]) -> tuple[str, ...]:
        """Name the columns whose value the model was trained without."""
        known = self.manifest.known
        return tuple(n for n in policy.KNOWN if (v := told.get(n)) and v not in known.get(n, ()))
