"""References by their hash: a golden image is the same all day, so its pixels are kept.

Bounded in bytes; the one that was used longest ago goes first. All inspections of one reference get
the same array, by which the engine sees which of them may share a call of the network.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcb_spark.core.pairs import PairReader
    from pcb_spark.serving.metrics import Metrics

    Pixels = NDArray[np.uint8]
    Name = tuple[str, int, int]


def digest(data: bytes) -> str:
    """Name a reference: SHA-256 of its file, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class ReferenceStore:
    """Decoded references; threads may share it.

    Parameters
    ----------
    most : bytes of pixels that are kept.
    """

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._kept: OrderedDict[Name, Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, sha256: str, reader: PairReader) -> Pixels | None:
        """Give the pixels of a reference that was seen before, as this model sees them."""
        name = _name(sha256, reader)
        with self._lock:
            pixels = self._kept.get(name)
            if pixels is not None:
                self._kept.move_to_end(name)
        self._metrics.references.labels("miss" if pixels is None else "hit").inc()
        return pixels

    def decode(self, sha256: str, data: bytes | None, reader: PairReader) -> Pixels:
        """Decode a reference and keep it.

        Raises
        ------
        ImageError : ``reference_missing``, ``reference_unusable``.
        """
        pixels = reader.decode_reference(data)
        with self._lock:
            name = _name(sha256, reader)
            kept = self._kept.setdefault(name, pixels)  # another thread may have been faster
            if kept is pixels:
                self._bytes += _size(pixels)
            self._kept.move_to_end(name)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
            self._metrics.reference_bytes.set(self._bytes)
        return kept


def _name(sha256: str, reader: PairReader) -> Name:
    return sha256, reader.reading.bit_depth, reader.max_pixels


def _size(pixels: Pixels) -> int:
    """Bytes that it occupies; of a grey file three channels share the memory of one."""
    return pixels.nbytes // 3 if pixels.strides[0] == 0 else pixels.nbytes
