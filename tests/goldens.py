"""Boards of a line for tests of golden images: small pictures of what stands at a position."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from pcb_spark.core import images as pictures
from pcb_spark.core import names
from pcb_spark.golden import making
from pcb_spark.golden.making import Maker
from pcb_spark.golden.settings import GoldenConfig
from pcb_spark.lake import schemas
from tests import rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

    Pixels = NDArray[np.uint8]

RULE = GoldenConfig(images=5, least=3)
_MADE_AT = datetime(2026, 2, 1, tzinfo=UTC)


def maker(rule: GoldenConfig = RULE) -> Maker:
    """A maker with the plainest settings."""
    return Maker(rule=rule, timezone="UTC", max_pixels=10_000, bit_depth=16, partitions=2)


def picture(product: int, board: int = 0) -> Pixels:
    """What stands at a position of a product's board: (56, 56, 3), boards differ a little."""
    blocks = np.random.default_rng(product).integers(30, 220, (7, 7, 3))
    noise = np.random.default_rng([product, board]).integers(-9, 10, (56, 56, 3))
    pixels: Pixels = (np.kron(blocks, np.ones((8, 8, 1), int)) + noise).astype(np.uint8)
    return pixels


def decoded(product: int, board: int = 0) -> Pixels:
    """The same as the network's input, (3, 224, 224)."""
    return pictures.decode(rows.png(picture(product, board)))


def shot(
    day: int,
    name: str,
    *,
    product: int = 1,
    verdict: str | None = names.VERDICT_PASS,
    position: str | None = "U1",
    line: str = "L1",
    verified: int | None = None,
    content: bytes | None = None,
) -> dict[str, Any]:
    """One image of January 2026 and its verdict, ``verified`` on another day where it says so."""
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
    content = content or rows.png(picture(product, seed))
    return {
        names.IMAGE_ID: name,
        names.SOURCE_URI: f"file:/drop/{name}.png",
        names.LINE: line,
        names.LOT: None,
        names.BOARD_ID: f"board {name}",
        names.POSITION: position,
        names.PART_NUMBER: None,
        names.CAPTURED_AT: datetime(2026, 1, day, 9, tzinfo=UTC),
        names.IMAGE: content,
        names.REFERENCE: None,
        names.REFERENCE_URI: None,
        names.REFERENCE_SHA256: None,
        names.WIDTH: 56,
        names.HEIGHT: 56,
        names.CONTENT_SHA256: hashlib.sha256(content).hexdigest(),
        names.CAPTURE_DATE: date(2026, 1, day),
        names.VERDICT: verdict,
        names.VERIFIED_AT: verified and datetime(2026, 1, verified, 15, tzinfo=UTC),
    }  # fmt: skip


def images(spark: SparkSession, shots: list[dict[str, Any]]) -> DataFrame:
    """The table ``images`` of these."""
    return spark.createDataFrame(
        [tuple(each[name] for name in schemas.IMAGES.names) for each in shots], schemas.IMAGES
    )


def verdicts(spark: SparkSession, shots: list[dict[str, Any]]) -> DataFrame:
    """The table ``verdicts`` of these."""
    found = [
        (each[names.IMAGE_ID], each[names.VERDICT], None, "op", each[names.VERIFIED_AT], False)
        for each in shots
    ]
    return spark.createDataFrame(found, schemas.VERDICTS)


def night(
    spark: SparkSession,
    shots: list[dict[str, Any]],
    before: DataFrame | None = None,
    rule: GoldenConfig = RULE,
) -> DataFrame:
    """The table after a night that found these images, as it lies on disk."""
    had = spark.createDataFrame([], schemas.GOLDENS) if before is None else before
    table = images(spark, shots)
    planned = making.plan(table, verdicts(spark, shots), had, maker(rule)).localCheckpoint()
    made = making.make(planned, table, maker(rule))
    booked = made.withColumns({names.RUN_ID: F.lit("run"), names.MADE_AT: F.lit(_MADE_AT)}).select(
        schemas.GOLDENS.names
    )
    return spark.createDataFrame(had.unionByName(booked).collect(), schemas.GOLDENS)
