"""One request's images through reading, network, rule and draws: each as Spark decides it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from pcb_spark.core import names, policy
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair
from pcb_spark.serving import references, wire
from pcb_spark.serving.refusals import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcb_spark.core.pairs import Reference
    from pcb_spark.core.scorer import Score
    from pcb_spark.serving.engine import Engine
    from pcb_spark.serving.golden import GoldenImages
    from pcb_spark.serving.metrics import Metrics
    from pcb_spark.serving.served import Served
    from pcb_spark.serving.uploads import Inspection

    Pixels = NDArray[np.uint8]


class Inspector:
    """Decides images; one for all requests.

    Parameters
    ----------
    golden : has the references of images that name none; None: they have none.
    """

    def __init__(
        self,
        engine: Engine,
        store: references.ReferenceStore,
        metrics: Metrics,
        golden: GoldenImages | None,
    ) -> None:
        self._engine = engine
        self._golden = golden
        self._store = store
        self._metrics = metrics

    async def inspect(
        self, model: Served, asked: Sequence[Inspection], *, told: bool
    ) -> list[wire.Result]:
        """Decide about all images of a request, by one model.

        Parameters
        ----------
        told : whether the answer says why an operator looks.

        Raises
        ------
        Refusal : 409, a reference is named that isn't known.
        """
        asked = await asyncio.gather(*(self._referred(model, each) for each in asked))
        golden = [self._known(model, number, each) for number, each in enumerate(asked)]
        scores = await asyncio.gather(
            *(self._score(model, each, known) for each, known in zip(asked, golden, strict=True))
        )
        return [
            self._result(model, each, score, told=told)
            for each, score in zip(asked, scores, strict=True)
        ]

    async def _referred(self, model: Served, asked: Inspection) -> Inspection:
        """With the golden image of its part and position, where it names no reference."""
        compares = model.scorer.pairs.reading.difference
        if self._golden is None or asked.reference_sha256 is not None or not compares:
            return asked
        habits = model.decider.manifest.habits
        found = await asyncio.to_thread(self._golden.find, habits, asked.trace, asked.image)
        if found is None:
            return asked
        return replace(asked, reference=found, reference_sha256=references.digest(found))

    def _known(self, model: Served, number: int, asked: Inspection) -> Reference | None:
        """The reference, where its pixels were kept."""
        reader, sha256 = model.scorer.pairs, asked.reference_sha256
        if not reader.reading.difference or sha256 is None:
            return None
        found = self._store.get(sha256, reader)
        if found is None and asked.reference is None:
            raise Refusal(
                HTTPStatus.CONFLICT, "unknown_reference",
                f"the reference of image {number} isn't known", got=sha256,
                hint="send its file once more; the store keeps what was used last",
            )  # fmt: skip
        return found

    async def _score(self, model: Served, asked: Inspection, golden: Reference | None) -> Score:
        trace = asked.trace.model_dump()
        used: list[str] = []
        try:
            found = await self._engine.score(model, lambda: self._read(model, asked, golden, used))
        except ImageError as error:
            score = model.scorer.unscorable(error, trace)
        else:
            score = model.scorer.judged(found, trace)
        return replace(score, golden=used[0]) if used else score

    def _read(
        self, model: Served, asked: Inspection, golden: Reference | None, used: list[str]
    ) -> Pair:
        """Decode and align, in the order in which Spark finds what is wrong.

        The hash of the line's own golden image goes into ``used``, where one is found.
        """
        reader = model.scorer.pairs
        pixels = reader.decode(asked.image)
        if not reader.reading.difference:
            return Pair(pixels, None)
        if golden is None:
            sha256, content = self._reference(model, asked, pixels, used)
            known = self._store.get(sha256, reader) if used else None
            golden = self._store.decode(sha256, content, reader) if known is None else known
        return reader.aligned(pixels, golden)

    def _reference(
        self, model: Served, asked: Inspection, pixels: Pixels, used: list[str]
    ) -> tuple[str, bytes | None]:
        """Hash and file of what an image is compared with: what was sent, else the line's own."""
        if asked.reference is None:
            day = model.decider.day(asked.trace.captured_at or datetime.now(UTC))
            found = model.scorer.golden(pixels, asked.trace.model_dump(), day)
            if found is not None:
                used.append(found.sha256)
                return found
        return asked.reference_sha256 or "", asked.reference

    def _result(self, model: Served, asked: Inspection, score: Score, *, told: bool) -> wire.Result:
        trace = asked.trace.model_dump(exclude={"image_id", "captured_at", "reference_sha256"})
        image_id = asked.trace.image_id or references.digest(asked.image)[:32]
        # An image of which nobody says the board is a board of its own: it may be drawn, too.
        board_id = asked.trace.board_id or image_id
        decider = model.decider
        review = decider.review(score, trace, image_id=image_id, board_id=board_id)
        self._metrics.images.labels(score.decision).inc()
        return wire.Result(
            **trace,
            image_id=image_id,
            reference_sha256=score.golden or asked.reference_sha256,
            decision=score.decision,
            probability=score.probability,
            threshold=score.threshold,
            reason=score.reason,
            detail=score.detail,
            unseen=list(decider.unseen(trace)),
            to_operator=review.reason is not None,
            review=review.reason if told else None,
            review_probability=review.probability if told else None,
        )


def unreadable(asked: Sequence[Inspection], results: Sequence[wire.Result]) -> Refusal | None:
    """Give the refusal of a request of whose files one isn't a readable image."""
    for number, (sent, each) in enumerate(zip(asked, results, strict=True)):
        if each.decision == policy.UNSCORABLE and _malformed(sent, each.reason):
            return Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable_image",
                f"image {number} or its reference can't be read",
                expected="a whole JPEG, PNG, TIFF, BMP or WebP file",
                got=f"{each.reason}: {each.detail}",
                hint="an operator has to look at it; `results` has the other images",
            )  # fmt: skip
    return None


def _malformed(sent: Inspection, reason: str | None) -> bool:
    """Whether an upload is, and not merely of no use; a reference of our own is no upload."""
    if reason == names.REFERENCE_UNUSABLE:
        return sent.reference is not None
    return reason in names.IMAGE_REASONS
