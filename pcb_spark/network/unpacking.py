"""The front of every graph: a batch of packed pixels (see ``batches``) to normalised images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from pcb_spark.core.batches import CHANNELS, IMAGES, REFERENCE_INDEX, REFERENCES
from pcb_spark.core.images import SIDE, WORDS
from pcb_spark.network.resnet50 import MEAN, STD

if TYPE_CHECKING:
    from pcb_spark.network.nodes import NodeBuilder

NORMALISED = "normalised"
"""Images [N, 3, 224, 224]: the K component images of the batch, then its M references."""

PLANES = "planes"
"""The same as they are in the file: 0..255, one channel where all of the batch is grey."""

IMAGE_COUNT = "image_count"
"""K, int64 [1]; there where the batch has references."""

REFERENCE_ROWS = "reference_rows"
"""Which row of ``NORMALISED`` is the reference of each image, int64 [K]."""


def inputs(*, difference: bool) -> list[onnx.ValueInfoProto]:
    """Return the inputs of a graph, with references or without."""
    shapes: dict[str, list[int | str]] = {IMAGES: [1, "T"], CHANNELS: [1, 1]}
    if difference:
        shapes |= {REFERENCES: [1, "R"], REFERENCE_INDEX: [1, "K"]}
    return [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name, shape in shapes.items()
    ]


def unpack(b: NodeBuilder, *, difference: bool) -> None:
    """Words to normalised pixels: each int64 holds eight bytes, low byte first."""
    axis = b.ints("axis_0", 0)
    words = b.add("Squeeze", [IMAGES, axis], "image_words")
    channels = b.add("Squeeze", [CHANNELS, axis], "channel_count")
    per_image = b.add("Mul", [channels, b.ints("words_per_channel", WORDS)], "words_per_image")
    if difference:
        _index_references(b, axis, per_image)
        references = b.add("Squeeze", [REFERENCES, axis], "reference_words")
        words = b.add("Concat", [words, references], "words", axis=0)
    unsigned = b.add("Cast", [words], "unsigned_words", to=TensorProto.UINT64)
    row = [b.ints("any", -1), b.ints("one", 1), per_image]
    rows = b.add("Reshape", [unsigned, b.add("Concat", row, "row_shape", axis=0)], "word_rows")
    shifts = b.constant("shifts", (np.arange(8, dtype=np.uint64) * 8).reshape(1, 8, 1))
    shifted = b.add("BitShift", [rows, shifts], "shifted", direction="RIGHT")
    octets = b.add("Cast", [shifted], "octets", to=TensorProto.UINT8)
    pixels = b.add("Cast", [octets], "pixels", to=TensorProto.FLOAT)
    _normalise(b, pixels, channels)


def _normalise(b: NodeBuilder, pixels: str, channels: str) -> None:
    """Pixels 0..255 of one or three channels to three channels of zero mean and unit variance."""
    plane = ["any", channels, b.ints("side", SIDE, SIDE)]
    planes = b.add("Reshape", [pixels, b.add("Concat", plane, "plane_shape", axis=0)], PLANES)
    mean, std = (np.array(c, dtype=np.float32).reshape(1, 3, 1, 1) * 255 for c in (MEAN, STD))
    # one grey channel becomes three by broadcasting; Expand would take as long as a convolution
    centred = b.add("Sub", [planes, b.constant("mean", mean)], "centred")
    scaled = b.add(
        "Mul", [centred, b.constant("inverse_std", (1 / std).astype(np.float32))], "scaled"
    )
    # says the shape, which broadcasting hides and the optimiser wants to know
    b.add("Reshape", [scaled, b.ints("image_shape", -1, 3, SIDE, SIDE)], NORMALISED)


def _index_references(b: NodeBuilder, axis: str, per_image: str) -> None:
    length = b.add("Shape", ["image_words"], "image_words_length")
    count = b.add("Div", [length, per_image], IMAGE_COUNT)
    index = b.add("Squeeze", [REFERENCE_INDEX, axis], "reference_numbers")
    b.add("Add", [count, index], REFERENCE_ROWS)
