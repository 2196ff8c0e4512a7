"""When a picture was taken, as its camera wrote it into the file (EXIF 2.32)."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from typing import Final

from PIL import ExifTags, Image

#: What Pillow's parsers raise on damaged EXIF; a file's pixels may be good all the same.
_DAMAGED: Final = (
    SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error,
    Image.DecompressionBombError, Warning,
)  # fmt: skip


def taken_at(data: bytes) -> datetime | None:
    """Read DateTimeOriginal, with OffsetTimeOriginal where the camera wrote one.

    A PNG's EXIF counts where it stands before the pixels: what stands behind them would cost a
    second decoding.

    Returns
    -------
    Aware with an offset, naive without; null where there is no time or it can't be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if "exif" not in image.info and image.format != "TIFF":
                return None
            fields = image.getexif().get_ifd(ExifTags.IFD.Exif)
        moment = datetime.strptime(
            str(fields[ExifTags.Base.DateTimeOriginal]).strip("\0 "), "%Y:%m:%d %H:%M:%S"
        )
        offset = str(fields.get(ExifTags.Base.OffsetTimeOriginal, "")).strip("\0 ")
        return datetime.fromisoformat(f"{moment.isoformat()}{offset}")
    except _DAMAGED:
        return None
