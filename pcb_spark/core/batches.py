"""The layout in which images enter an ONNX graph; Spark, edge and service share it.

One call reads one *batch*::

    images           int64 [1, T]   K component images, packed (``images.pack``), one after another
    channels         int64 [1, 1]   1 where every image and reference of the batch is grey, else 3
    references       int64 [1, R]   the M distinct references among them, packed, M <= K
    reference_index  int64 [1, K]   which reference belongs to which image

The leading 1 is SynapseML's batch axis: a batch travels as one row, so that K images can share one
reference and the backbone sees it once. Eight pixels travel in one word and grey ones in one
channel, because SynapseML boxes every number of a tensor, at 0.4 microseconds each: one number a
pixel would cost more than the backbone. Graphs without references lack the last two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import images

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = "images"
CHANNELS = "channels"
REFERENCES = "references"
REFERENCE_INDEX = "reference_index"
#: Outputs of graphs.
FEATURES = "features"
PROBABILITY = "probability"


def feed(
    pixels: Sequence[NDArray[np.uint8]],
    references: Sequence[NDArray[np.uint8]] | None = None,
    reference_index: Sequence[int] = (),
) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of a graph for one batch.

    Parameters
    ----------
    pixels : K arrays uint8 (3, 224, 224), as ``images.decode`` gives them.
    references : M arrays of the same shape, or None for a graph without references.
    reference_index : K numbers 0..M-1.
    """
    grey = all(images.is_grey(each) for each in (*pixels, *(references or ())))
    channels = 1 if grey else 3
    inputs = {
        IMAGES: _packed(pixels, channels),
        CHANNELS: np.array([[channels]], dtype=np.int64),
    }
    if references is not None:
        inputs[REFERENCES] = _packed(references, channels)
        inputs[REFERENCE_INDEX] = np.array([reference_index], dtype=np.int64)
    return inputs


def _packed(pixels: Sequence[NDArray[np.uint8]], channels: int) -> NDArray[np.int64]:
    return np.concatenate([images.pack(each[:channels]) for each in pixels])[np.newaxis]
