"""From the bytes of an image and its reference to the pixels that a graph is fed with.

Decode, decode the reference, align: Spark, edge and report read a pair here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pcb_spark.core import images, names, ranges, registration
from pcb_spark.core.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcb_spark.core.ranges import Range

    Pixels = NDArray[np.uint8]


_NO_GOLDEN = (
    names.GOLDEN_MISSING,
    "no golden image of its position had been made of good images of earlier days",
)
_MISSING = {names.HANDED_OVER: (names.REFERENCE_MISSING, "the drop names no usable reference")}


class Pair(NamedTuple):
    """Pixels uint8 (3, 224, 224) of an image and of what it is compared with, aligned."""

    image: Pixels
    reference: Pixels | None


class Reference(NamedTuple):
    """A decoded reference, uint8 (3, 224, 224), and what good images show where that counts."""

    pixels: Pixels
    shown: Range | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a model has a pair of files read: part of it, since other pixels give other scores.

    Parameters
    ----------
    difference : whether the model compares an image with its reference; one that doesn't needs and
        reads none.
    max_offset : by how much of its side an image may lie off its reference, 0..0.2; 0: it is taken
        to lie right.
    alignment : ``cut`` (``registration.align``), ``fill`` (``registration.fill``), or ``laid``
        (``registration.lay``): the image is then compared with the nearest that good images show
        (``ranges``), or with its reference where the file of that doesn't tell what they do.
    bit_depth : how many bits of a 16-bit file the camera uses, 8..16.
    references : where references come from, one of ``names.REFERENCE_SOURCES``.
    """

    difference: bool
    max_offset: float = 0.0
    alignment: str = registration.CUT
    bit_depth: int = images.FULL_DEPTH
    references: str = names.HANDED_OVER

    @property
    def is_own(self) -> bool:
        """Whether it compares with golden images of the line's own boards."""
        return self.difference and self.references != names.HANDED_OVER


class PairReader:
    """Reads pairs as one model sees them; remembers the reference that it decoded last.

    Parameters
    ----------
    max_pixels : width x height of the largest image that is read.
    """

    def __init__(self, reading: Reading, *, max_pixels: int = images.DEFAULT_MAX_PIXELS) -> None:
        self.reading = reading
        self.max_pixels = max_pixels
        self._last: tuple[bytes | str, Reference] | None = None

    def read(self, image: bytes, reference: bytes | None = None, *, key: str | None = None) -> Pair:
        """Decode an image and its reference, and align them.

        Parameters
        ----------
        key : names the reference, its hash for example; without one its bytes are compared.

        Raises
        ------
        ImageError : with the reason of the image, or why its reference is of no use:
            ``reference_missing``, ``golden_missing``, ``reference_unusable``,
            ``reference_misaligned``.
        """
        return self.paired(self.decode(image), reference, key=key)

    def paired(self, pixels: Pixels, reference: bytes | None, *, key: str | None = None) -> Pair:
        """Do what ``read`` does with an image that is decoded."""
        if not self.reading.difference:
            return Pair(pixels, None)
        return self.aligned(pixels, self._reference(reference, key))

    def aligned(self, pixels: Pixels, golden: Reference) -> Pair:
        """Align an image with its reference; both are decoded.

        The pair's reference is that of ``golden`` itself, no copy, where nothing has to be cut and
        no range counts.

        Raises
        ------
        ImageError : ``reference_misaligned``.
        """
        how = self.reading
        if how.alignment == registration.CUT:
            return Pair(*registration.align(pixels, golden.pixels, limit=how.max_offset))
        if how.alignment == registration.LAID:
            laid = registration.lay(pixels, golden.pixels, limit=how.max_offset)
            return Pair(laid, golden.shown.nearest(laid) if golden.shown else golden.pixels)
        if how.max_offset:
            pixels = registration.fill(pixels, golden.pixels, limit=how.max_offset)
        return Pair(pixels, golden.pixels)

    def decode(self, data: bytes) -> Pixels:
        """Decode one file as the model sees it; raises what ``images.decode`` raises."""
        return images.decode(data, max_pixels=self.max_pixels, bit_depth=self.reading.bit_depth)

    def decode_reference(self, data: bytes | None) -> Reference:
        """Decode a reference.

        Raises
        ------
        ImageError : ``reference_missing``, ``golden_missing``, ``reference_unusable``.
        """
        if data is None:
            raise ImageError(*_MISSING.get(self.reading.references, _NO_GOLDEN))
        try:
            pixels = self.decode(data)
            laid = self.reading.alignment == registration.LAID
            return Reference(pixels, ranges.of_file(data) if laid else None)
        except ImageError as error:
            raise ImageError(names.REFERENCE_UNUSABLE, str(error)) from None

    def _reference(self, reference: bytes | None, key: str | None) -> Reference:
        if reference is None:
            return self.decode_reference(reference)
        known = reference if key is None else key
        if self._last is None or self._last[0] != known:
            self._last = (known, self.decode_reference(reference))
        return self._last[1]
