"""Images into batches by plain Python, for the ways that don't use this project's inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from pcb_spark import batches, images

if TYPE_CHECKING:
    from numpy.typing import NDArray

Feed = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The files of a component image and of its reference."""

    image: bytes
    reference: bytes | None


def feeds(samples: Sequence[Sample], batch_size: int, *, difference: bool) -> Iterator[Feed]:
    """Decode and pack ``samples`` into the batches of ``inference``.

    Neighbours share a batch, with ``difference`` those of one reference; ``batch_size`` counts the
    reference too.
    """
    for golden, sharing in groupby(samples, lambda each: difference and each.reference):
        group, most = iter(sharing), max(1, batch_size - difference)
        while chunk := list(islice(group, most)):
            pixels = [images.decode(sample.image) for sample in chunk]
            references = [images.decode(golden)] if golden else None
            yield batches.feed(pixels, references, [0] * len(pixels))


def one_thread_session(graph: bytes) -> ort.InferenceSession:
    """Return a session of plain ONNX Runtime with one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
