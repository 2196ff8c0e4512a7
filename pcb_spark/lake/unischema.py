"""The table ``images`` as petastorm reads it; a test holds both forms of its columns together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import types as t

from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from petastorm.unischema import Unischema


def images_unischema() -> Unischema:
    """Return petastorm's view of ``images``: pictures as (H, W) or (H, W, 3) uint8 arrays.

    petastorm is imported here and not above: it needs OpenCV, which executors don't.
    """
    import numpy as np
    import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads
    from petastorm.codecs import CompressedImageCodec, ScalarCodec
    from petastorm.unischema import Unischema, UnischemaField

    picture = CompressedImageCodec("png")
    kinds: dict[t.DataType, tuple[Any, Any, tuple[int | None, ...]]] = {
        t.StringType(): (np.str_, ScalarCodec(t.StringType()), ()),
        t.TimestampType(): (np.datetime64, ScalarCodec(t.TimestampType()), ()),
        t.IntegerType(): (np.int32, ScalarCodec(t.IntegerType()), ()),
        t.BinaryType(): (np.uint8, picture, (None, None, 3)),
        # a partition column: petastorm reads it off the folder's name
        t.DateType(): (np.str_, ScalarCodec(t.StringType()), ()),
    }
    fields = []
    for field in schemas.IMAGES.fields:
        dtype, codec, shape = kinds[field.dataType]
        fields.append(UnischemaField(field.name, dtype, shape, codec, field.nullable))
    return Unischema("images", fields)
