"""Rows of the ``images`` table for tests: small rendered pairs and files that are no images."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.render import render_pair
from pcb_spark.ingest import verdict_form, verdicts
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame, SparkSession

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
NO_IMAGE = b"no image at all"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (height, width, 3) as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def noise(seed: int, *, darker: int = 1) -> bytes:
    """A 32 x 32 picture of random colours, as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return png(pixels // np.uint8(darker))


def rendered_pairs(count: int) -> list[tuple[bytes, bytes]]:
    """Rendered components with their references, every third with a defect, as files."""
    parts = sorted(PARTS)
    pairs = []
    for number in range(count):
        part = parts[number % len(parts)]
        defect = PARTS[part].defects[0] if number % 3 == 0 else None
        pair = render_pair(np.random.default_rng(number), part=part, defect=defect)
        pairs.append((png(np.asarray(pair.image)), png(np.asarray(pair.reference))))
    return pairs


def images_table(
    spark: SparkSession, pairs: Sequence[tuple[bytes, bytes | None]], *, partitions: int = 3
) -> DataFrame:
    """The ``images`` table of (image, reference) files; ids are ``i000``, ``i001`` and so on."""
    rows = [_row(number, *pair) for number, pair in enumerate(pairs)]
    return spark.createDataFrame(rows, schemas.IMAGES).repartition(partitions)


def _row(number: int, image: bytes, reference: bytes | None) -> tuple[Any, ...]:
    moment = START + timedelta(hours=number)
    digest = None if reference is None else hashlib.sha256(reference).hexdigest()
    row = {
        names.IMAGE_ID: f"i{number:03d}",
        names.SOURCE_URI: f"file:/drop/images/i{number:03d}.png",
        names.LINE: "L1",
        names.LOT: None,
        names.BOARD_ID: f"b{number // 4}",
        names.POSITION: f"R{number % 4}",
        names.PART_NUMBER: None,
        names.CAPTURED_AT: moment,
        names.IMAGE: image,
        names.REFERENCE: reference,
        names.REFERENCE_URI: "file:/drop/references/golden.png" if digest else None,
        names.REFERENCE_SHA256: digest,
        names.WIDTH: 32,
        names.HEIGHT: 32,
        names.CONTENT_SHA256: hashlib.sha256(image).hexdigest(),
        names.CAPTURE_DATE: moment.date(),
    }
    return tuple(row[name] for name in schemas.IMAGES.names)


def manifest_of(raw: DataFrame, *, latest: datetime | None = None) -> DataFrame:
    """What ``read_manifest`` makes of a file with these columns, its rows in their order."""
    columns = [_text(raw, name).alias(name) for name in (*verdict_form.TEXTS, "file")]
    row = F.monotonically_increasing_id().alias("row_number")
    return verdicts.read_manifest(raw.coalesce(1).select(*columns, row), latest=latest)


def _text(raw: DataFrame, name: str) -> Column:
    if name not in raw.columns:
        return F.lit(None).cast("string")
    trimmed = F.trim(F.col(name).cast("string"))
    return F.when(trimmed != "", trimmed)
