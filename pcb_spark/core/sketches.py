"""Small colour pictures that tell whether two images show the same place.

The positions of different products often have one name, and what stands at a position changes.
Both show in a picture of 56 x 56 px. Its colours are kept, since brightness may change and the
solder mask doesn't: of rendered images of four products good ones of one product lay at .01 to .16
(n = 240), and those of another product under the same name at .18 to 1.23 (n = 240). Grey pictures
told half of them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pcb_spark.core import images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sketch = NDArray[np.uint8]

#: Height and width of a sketch, px.
SIDE: Final = 56
_BLOCK: Final = images.SIDE // SIDE
_REACH: Final = 4  # px of the sketch, 7 % of its side: how far two may lie apart
_MIN_CONTRAST: Final = 1.0  # grey levels; a flat picture isn't stretched beyond its noise


def sketch(pixels: NDArray[np.uint8]) -> Sketch:
    """Shrink a decoded image, uint8 (3, 224, 224), to uint8 (3, 56, 56)."""
    blocks = pixels.reshape(len(pixels), SIDE, _BLOCK, SIDE, _BLOCK)
    total = blocks.sum(axis=(2, 4), dtype=np.uint32)
    mean: Sketch = ((total + _BLOCK * _BLOCK // 2) // (_BLOCK * _BLOCK)).astype(np.uint8)
    return mean


def misfit(one: Sketch, other: Sketch) -> float:
    """1 - the correlation of two sketches where they fit best: 0 is alike, from 1 on unrelated.

    The middle of ``other`` is laid over ``one`` at every offset up to 4 px. Sums are of whole
    numbers below 2**53, so that every machine finds the same.
    """
    middle = other[:, _REACH:-_REACH, _REACH:-_REACH].astype(np.float64)
    windows = sliding_window_view(one, (len(one), *middle.shape[1:]))
    offsets = windows.reshape(-1, middle.size).astype(np.float64)
    n, flat = middle.size, middle.ravel()
    sums, total = offsets.sum(axis=1), flat.sum()
    shared = n * (offsets @ flat) - sums * total
    own = n * (offsets * offsets).sum(axis=1) - sums * sums
    golden = n * (flat @ flat) - total * total
    least = float(n * n) * _MIN_CONTRAST
    both = np.sqrt(np.maximum(own, least) * max(golden, least))
    return float(1 - (shared / both).max())


def parse(content: bytes) -> Sketch:
    """Read a sketch from its bytes, ``sketch(...).tobytes()``."""
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, SIDE, SIDE)
