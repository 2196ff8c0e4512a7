"""When a picture was taken, as its camera wrote it into the file (EXIF 2.32)."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, Final

from PIL import ExifTags, Image

#: What Pillow's parsers raise on damaged EXIF; a file's pixels may be good all the same.
_DAMAGED: Final = (
    SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error,
    Image.DecompressionBombError, Warning,
)  # fmt: skip
_UNKNOWN_TIME: Final = " :0"
_UNKNOWN_OFFSET: Final = " :"  # +00:00 is one that is known


def taken_at(data: bytes | BinaryIO) -> str | None:
    """Read DateTimeOriginal, with OffsetTimeOriginal behind it where the camera wrote one.

    A PNG's EXIF counts where it stands before the pixels: what stands behind them would cost a
    second decoding.

    Returns
    -------
    The text as the camera wrote it, null where there is none or the directory can't be read. Fields
    of blanks, or zeros, are what EXIF tells cameras to write of a time or an offset that they don't
    know: they count as none.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            if "exif" not in image.info and image.format != "TIFF":
                return None
            fields = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except _DAMAGED:
        return None
    moment = _told(fields.get(ExifTags.Base.DateTimeOriginal), _UNKNOWN_TIME)
    offset = _told(fields.get(ExifTags.Base.OffsetTimeOriginal), _UNKNOWN_OFFSET)
    return f"{moment} {offset}".rstrip() if moment else None


def _told(value: object, unknown: str) -> str:
    """The text of a field; blank where it has no other characters than ``unknown``."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    text = text.partition("\0")[0].strip()
    return text if text.strip(unknown) else ""
