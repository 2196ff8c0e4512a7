"""Pixels as PNG, which every machine decodes to the same ones, and chunks of our own beside."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def encode(pixels: NDArray[np.uint8], chunks: Mapping[bytes, bytes] | None = None) -> bytes:
    """Write a picture.

    Parameters
    ----------
    pixels : uint8 (3, H, W); grey where its three channels share memory, as ``images.decode`` has
        it.
    chunks : by their names, which viewers pass over where the first letter is small (PNG, 5.4).
    """
    grey = pixels.strides[0] == 0
    picture = pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    info = PngInfo()
    for name, content in (chunks or {}).items():
        info.add(name, content)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Private chunks before the pixels of a file that ``images.decode`` can read; of a PNG only."""
    if not data.startswith(_SIGNATURE):
        return {}
    with PngImageFile(io.BytesIO(data)) as picture:
        return {name: content for name, content, *_ in picture.private_chunks}
