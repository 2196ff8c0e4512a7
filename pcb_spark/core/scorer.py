"""One image, its reference and a bundle to one decision, bit for bit what Spark gives.

::

    scorer = Scorer(bundle.read(Path("bundle")))
    scorer.score(Path("U7.png").read_bytes(), Path("U7_golden.png").read_bytes()).decision
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from pcb_spark.core import batches, bundle, images, policy, sessions
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair, PairReader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcb_spark.core.golden_book import Found, GoldenBook
    from pcb_spark.core.share_cap import ShareCap

    Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a model says of one image.

    Attributes
    ----------
    probability : of ``fail``, 0..1, a float32; None where the image can't be scored.
    threshold : the one that it was held against, 0..1.
    decision : ``pass``, ``fail`` or ``unscorable``.
    reason, detail : why there is no probability; None where there is one.
    golden : hash of the line's own golden image that was found for it; None where none was looked
        for, or found.
    """

    probability: float | None
    threshold: float
    decision: str
    reason: str | None = None
    detail: str | None = None
    golden: str | None = None


class Scorer:
    """Scores images by one bundle; holds one ONNX session.

    ``score`` is for one thread: it remembers its last reference. Its three steps may be called by
    several: ``pairs.decode`` and ``pairs.aligned``, ``probabilities``, ``judged``.

    Parameters
    ----------
    model : a verified bundle, as ``bundle.read`` gives it.
    cap : lowers the thresholds of the model, see ``share_cap``.
    goldens : golden images of the line's own boards, for a model that compares with these.
    threads : of ONNX Runtime, see ``sessions``; Spark's tasks have one.
    max_pixels : width x height of the largest image that is read.
    """

    def __init__(
        self,
        model: bundle.Bundle,
        *,
        cap: ShareCap | None = None,
        goldens: GoldenBook | None = None,
        threads: int = 1,
        max_pixels: int = images.DEFAULT_MAX_PIXELS,
    ) -> None:
        self.manifest = model.manifest
        chosen = policy.SegmentThresholds.of(model.manifest.threshold)
        own = model.manifest.model_sha256
        self.thresholds = cap.limit(chosen, model_sha256=own) if cap else chosen
        self.pairs = PairReader(model.manifest.reading, max_pixels=max_pixels)
        self.goldens = goldens
        self._session = sessions.of(model.parts[bundle.GRAPH], threads=threads)

    def score(
        self,
        image: bytes,
        reference: bytes | None = None,
        *,
        traceability: Mapping[str, str | None] | None = None,
        captured_on: date | None = None,
    ) -> Score:
        """Score one image file.

        Parameters
        ----------
        image, reference : the camera's bytes; a model that doesn't compare reads no reference, and
            without one the line's own golden image is found, where there are any.
        traceability : ``line``, ``part_number``, ``position``, for a model whose segments have
            thresholds of their own, and to find golden images; the pooled threshold counts for a
            segment that isn't known.
        captured_on : in the plant's zone, to find golden images; None is today.
        """
        found = None
        try:
            pixels = self.pairs.decode(image)
            if reference is None:
                found = self.golden(pixels, traceability, captured_on)
            pair = self.pairs.paired(pixels, found.content if found else reference)
        except ImageError as error:
            score = self.unscorable(error, traceability)
        else:
            (probability,) = self.probabilities([pair])
            score = self.judged(probability, traceability)
        return replace(score, golden=found.sha256) if found else score

    def golden(
        self, pixels: Pixels, traceability: Mapping[str, str | None] | None, day: date | None
    ) -> Found | None:
        """The line's own golden image of a decoded image; see ``score``."""
        if self.goldens is None:
            return None
        return self.goldens.find(pixels, traceability or {}, day or datetime.now(UTC).date())

    def probabilities(self, pairs: Sequence[Pair]) -> list[float]:
        """Run the graph once over images that share one reference.

        Parameters
        ----------
        pairs : one or more; ``reference`` is the same array, or None, in all of them.
        """
        golden = pairs[0].reference
        references = None if golden is None else [golden]
        index = () if golden is None else [0] * len(pairs)
        inputs = batches.feed([pair.image for pair in pairs], references, index)
        (found,) = self._session.run([batches.PROBABILITY], inputs)
        return [float(each) for each in found[0]]

    def judged(
        self, probability: float, traceability: Mapping[str, str | None] | None = None
    ) -> Score:
        """Hold a probability against the threshold of the image's segment."""
        threshold = self._threshold(traceability or {})
        decision = str(policy.decide([probability], threshold)[0])
        return Score(probability=probability, threshold=threshold, decision=decision)

    def unscorable(
        self, error: ImageError, traceability: Mapping[str, str | None] | None = None
    ) -> Score:
        """Say why an image has no probability."""
        return Score(
            probability=None,
            threshold=self._threshold(traceability or {}),
            decision=policy.UNSCORABLE,
            reason=error.reason,
            detail=error.detail,
        )

    def _threshold(self, traceability: Mapping[str, str | None]) -> float:
        if policy.unseen(self.manifest.known, traceability):
            return 0.0
        segment = traceability.get(self.thresholds.column or "")
        return float(self.thresholds.values([segment])[0])
