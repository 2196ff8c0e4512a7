"""TIFF files that Pillow opens and shows otherwise than they are meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _PREDICTOR = 258, 259, 262, 284, 317
_PALETTE, _SAMPLE_FORMAT, _SUBSAMPLING = 320, 339, 530
_WHITE_IS_ZERO, _PALETTE_COLOUR, _YCBCR, _SIGNED, _SEPARATE = 0, 3, 6, 2, 2  # TIFF 6.0, section 8


def fault(mode: str, tags: Mapping[int, Any]) -> str | None:
    """What Pillow would show with another scale, inverted, or as other planes."""
    bits, photometric = tags.get(_BITS, (1,)), tags.get(_PHOTOMETRIC)
    if mode.startswith("I") and (bits == (12,) or photometric == _WHITE_IS_ZERO):
        return "grey of 12 bits, or of 16 bits with white as zero"
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and max(bits) < 32:
        return "signed samples"
    if photometric is None and mode in ("1", "L"):
        return "nothing says whether zero is black or white"
    if photometric == _PALETTE_COLOUR and max(tags[_PALETTE]) < 256:
        return "a palette of 8 bits, where TIFF asks for 16"
    if tags.get(_COMPRESSION, 1) != 1:
        return None
    if tags.get(_PREDICTOR, 1) != 1:
        return "a predictor without compression"
    if tags.get(_PLANAR) == _SEPARATE and (set(bits) != {8} or photometric == _WHITE_IS_ZERO):
        return "uncompressed planes that aren't of 8 bits, or inverted"
    if photometric == _YCBCR and len(bits) > 1 and tags.get(_SUBSAMPLING) != (1, 1):
        return "subsampled colour without compression"
    return None
