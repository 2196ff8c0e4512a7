"""Images into batches by plain Python, for the ways that don't use this project's inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from pcb_spark.core import batches, images, registration
from pcb_spark.core.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Feed = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The files of a component image and of its reference."""

    image: bytes
    reference: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a model's batches are like; ``batch_size`` counts references too.

    ``max_offset`` is that of ``graphs.FeatureSpec``.
    """

    batch_size: int
    difference: bool
    max_offset: float


def feeds(samples: Sequence[Sample], layout: Layout) -> Iterator[Feed]:
    """Decode, align and pack ``samples`` into the batches of ``inference``.

    Neighbours share a batch, with ``difference`` those of one reference.
    """
    for golden, sharing in groupby(samples, lambda each: layout.difference and each.reference):
        group, most = iter(sharing), max(1, layout.batch_size - layout.difference)
        while chunk := list(islice(group, most)):
            pixels = [images.decode(sample.image) for sample in chunk]
            references = [images.decode(golden)] if golden else None
            if references and layout.max_offset:
                pixels = [aligned(each, references[0], layout) for each in pixels]
            yield batches.feed(pixels, references, [0] * len(pixels))


def aligned(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], layout: Layout
) -> NDArray[np.uint8]:
    """Move the image onto its reference; one that lies too far off is scored as it is."""
    try:
        return registration.align(image, reference, limit=layout.max_offset)
    except ImageError:
        return image


def one_thread_session(graph: bytes) -> ort.InferenceSession:
    """Return a session of plain ONNX Runtime with one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
