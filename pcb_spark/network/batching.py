"""Rows of one partition become batches of decoded pixels, in the layout that ``batches`` describes.

Every image travels with its batch, those that can't be decoded too: they carry a reason in place of
a slot, so that no row can get lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pcb_spark.core import batches, images, names
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair, PairReader

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pcb_spark.network.inference import InferencePlan

#: Which output of a batch is a row's, null where a reason says why there is none.
SLOT: Final = "slot"

#: Stands in where a batch has no usable image or reference; nobody reads what comes of it.
_BLACK = np.zeros((3, images.SIDE, images.SIDE), dtype=np.uint8)


class Batch(NamedTuple):
    """Rows without their files, with ``slot``, ``reason`` and ``detail``; and a graph's inputs."""

    rows: list[dict[str, Any]]
    inputs: Mapping[str, NDArray[np.int64]]


def batched(record_batches: Iterable[pa.RecordBatch], plan: InferencePlan) -> Iterator[Batch]:
    """Read the images of a partition and fill batches with them, in the order of the rows."""
    filling = _Filling(plan)
    for records in record_batches:
        for row in records.to_pylist():
            yield from filling.add(row)
    if filling.rows:
        yield filling.flush()


class _Filling:
    """The batch that a partition is filling: images of one reference, and of one cut of it."""

    def __init__(self, plan: InferencePlan) -> None:
        self.batch_size = plan.batch_size
        self.rows: list[dict[str, Any]] = []
        self.images: list[NDArray[np.uint8]] = []
        self.reference = _BLACK
        self.compares = plan.reading.difference
        self.pairs = PairReader(plan.reading, max_pixels=plan.max_pixels)

    def add(self, row: dict[str, Any]) -> Iterator[Batch]:
        """Add an image; the answer is the batch before it where that ends here."""
        image, reference = row.pop(names.IMAGE), row.pop(names.REFERENCE, None)
        row[SLOT] = row[names.REASON] = row[names.DETAIL] = None
        try:
            pair = self.pairs.read(image, reference, key=row.get(names.REFERENCE_SHA256))
        except ImageError as error:
            row[names.REASON], row[names.DETAIL] = error.reason, error.detail
            if not self.images and len(self.rows) > 8 * self.batch_size:
                yield self.flush()
            self.rows.append(row)
            return
        if self._ends_before(pair):
            yield self.flush()
        row[SLOT] = len(self.images)
        self.rows.append(row)
        self.images.append(pair.image)
        if pair.reference is not None:
            self.reference = pair.reference

    def _ends_before(self, pair: Pair) -> bool:
        if not self.images:
            return False
        full = len(self.images) + self.compares >= self.batch_size
        return full or (pair.reference is not None and pair.reference is not self.reference)

    def flush(self) -> Batch:
        """Return the batch and start the next one."""
        pixels = self.images or [_BLACK]
        references = [self.reference] if self.compares else None
        inputs = batches.feed(pixels, references, [0] * len(pixels))
        done = Batch(self.rows, inputs)
        self.rows, self.images = [], []
        return done
