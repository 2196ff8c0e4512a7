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
    from pcb_spark.core.pairs import PairReader, Reference
    from pcb_spark.serving.metrics import Metrics

    Name = tuple[str, int, str, int]


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
        self._kept: OrderedDict[Name, Reference] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, sha256: str, reader: PairReader) -> Reference | None:
        """Give the pixels of a reference that was seen before, as this model sees them."""
        name = _name(sha256, reader)
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
        self._metrics.references.labels("miss" if found is None else "hit").inc()
        return found

    def decode(self, sha256: str, data: bytes | None, reader: PairReader) -> Reference:
        """Decode a reference and keep it.

        Raises
        ------
        ImageError : ``reference_missing``, ``reference_unusable``.
        """
        found = reader.decode_reference(data)
        with self._lock:
            name = _name(sha256, reader)
            kept = self._kept.setdefault(name, found)  # another thread may have been faster
            if kept is found:
                self._bytes += _size(found)
            self._kept.move_to_end(name)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
            self._metrics.reference_bytes.set(self._bytes)
        return kept


def _name(sha256: str, reader: PairReader) -> Name:
    how = reader.reading
    return sha256, how.bit_depth, how.alignment, reader.max_pixels


def _size(found: Reference) -> int:
    """Bytes that it occupies; of a grey file three channels share the memory of one."""
    held = [found.pixels, *(found.shown or ())]
    return sum(each.nbytes // 3 if each.strides[0] == 0 else each.nbytes for each in held)
