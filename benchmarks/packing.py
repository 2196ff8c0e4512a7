"""Images into batches by plain Python, for the ways that don't use this project's inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    """Decode and pack ``samples``; references of the same bytes are decoded once a batch.

    ``batch_size`` counts references too, one an image.
    """
    step = max(1, batch_size // 2) if difference else batch_size
    for start in range(0, len(samples), step):
        chunk = samples[start : start + step]
        pixels = [images.decode(sample.image) for sample in chunk]
        if not difference:
            yield batches.feed(pixels)
            continue
        files = [sample.reference or b"" for sample in chunk]
        distinct = list(dict.fromkeys(files))
        golden = [images.decode(file) for file in distinct]
        yield batches.feed(pixels, golden, [distinct.index(file) for file in files])


def one_thread_session(graph: bytes) -> ort.InferenceSession:
    """Return a session of plain ONNX Runtime with one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
