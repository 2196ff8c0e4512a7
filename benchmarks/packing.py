"""Images into batches by plain Python, for the ways that don't use this project's inference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from pcb_spark.core import batches, images, registration, sessions
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair, PairReader, Reading

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime as ort
    from numpy.typing import NDArray

Feed = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The files of a component image and of its reference."""

    image: bytes
    reference: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a model's batches are like; ``batch_size`` counts references too."""

    batch_size: int
    reading: Reading

    def to_json(self) -> str:
        """Give the text that ``from_json`` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Read what ``to_json`` gave, in another process."""
        raw = json.loads(text)
        return cls(batch_size=raw["batch_size"], reading=Reading(**raw["reading"]))


def feeds(samples: Sequence[Sample], layout: Layout) -> Iterator[Feed]:
    """Decode, align and pack ``samples`` into the batches of ``inference``.

    Neighbours share a batch; where references are read, those of one reference.
    """
    pairs = PairReader(layout.reading)
    read = (_read(pairs, sample) for sample in samples)
    for _, sharing in groupby(read, lambda each: layout.reading.difference and id(each.reference)):
        group, most = iter(sharing), max(1, layout.batch_size - layout.reading.difference)
        while chunk := list(islice(group, most)):
            references = None if chunk[0].reference is None else [chunk[0].reference]
            yield batches.feed([each.image for each in chunk], references, [0] * len(chunk))


def _read(pairs: PairReader, sample: Sample) -> Pair:
    """Read a pair; an image that lies too far off is scored as it is, so that none is left out."""
    try:
        return pairs.read(sample.image, sample.reference)
    except ImageError:
        golden = images.decode(sample.reference) if sample.reference else None
        return Pair(images.decode(sample.image), golden)


def aligned(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], layout: Layout
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Align a pair; one that lies too far apart is scored as it is."""
    try:
        return registration.align(image, reference, limit=layout.reading.max_offset)
    except ImageError:
        return image, reference


def one_thread_session(graph: bytes) -> ort.InferenceSession:
    """Return a session of plain ONNX Runtime with one thread."""
    return sessions.of(graph)  # an environment made for Spark makes it pass over its options
