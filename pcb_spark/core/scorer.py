"""One image, its reference and a bundle to one decision, bit for bit what Spark gives.

::

    scorer = Scorer(bundle.read(Path("bundle")))
    scorer.score(Path("U7.png").read_bytes(), Path("U7_golden.png").read_bytes()).decision
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcb_spark.core import batches, bundle, images, policy, sessions
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair, PairReader

if TYPE_CHECKING:
    from pcb_spark.core.share_cap import ShareCap


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a model says of one image.

    Attributes
    ----------
    probability : of ``fail``, 0..1, a float32; None where the image can't be scored.
    threshold : the one that it was held against, 0..1.
    decision : ``pass``, ``fail`` or ``unscorable``.
    reason, detail : why there is no probability; None where there is one.
    """

    probability: float | None
    threshold: float
    decision: str
    reason: str | None = None
    detail: str | None = None


class Scorer:
    """Scores images by one bundle; holds one ONNX session.

    ``score`` is for one thread: it remembers its last reference. Its three steps may be called by
    several: ``pairs.decode`` and ``pairs.aligned``, ``probabilities``, ``judged``.

    Parameters
    ----------
    model : a verified bundle, as ``bundle.read`` gives it.
    cap : lowers the thresholds of the model, see ``share_cap``.
    threads : of ONNX Runtime, see ``sessions``; Spark's tasks have one.
    max_pixels : width x height of the largest image that is read.
    """

    def __init__(
        self,
        model: bundle.Bundle,
        *,
        cap: ShareCap | None = None,
        threads: int = 1,
        max_pixels: int = images.DEFAULT_MAX_PIXELS,
    ) -> None:
        self.manifest = model.manifest
        chosen = policy.SegmentThresholds.of(model.manifest.threshold)
        own = model.manifest.model_sha256
        self.thresholds = cap.limit(chosen, model_sha256=own) if cap else chosen
        self.pairs = PairReader(model.manifest.reading, max_pixels=max_pixels)
        self._session = sessions.of(model.parts[bundle.GRAPH], threads=threads)

    def score(
        self,
        image: bytes,
        reference: bytes | None = None,
        *,
        traceability: Mapping[str, str | None] | None = None,
    ) -> Score:
        """Score one image file.

        Parameters
        ----------
        image, reference : the camera's bytes; a model that doesn't compare reads no reference.
        traceability : ``line``, ``part_number`` and so on, for a model whose segments have
            thresholds of their own; the pooled one counts for a segment that isn't known.
        """
        try:
            pair = self.pairs.read(image, reference)
        except ImageError as error:
            return self.unscorable(error, traceability)
        (probability,) = self.probabilities([pair])
        return self.judged(probability, traceability)

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
