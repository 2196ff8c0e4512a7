from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core.pictures import PictureMaker
from pcb_spark.network import pooled
from tests import edge
from tests.rows import NO_IMAGE, png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.core.pictures import Made

#: EXIF that says: turn it by a quarter.
ON_ITS_SIDE = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(6)
LIMITS = {"max_pixels": 10_000_000, "bit_depth": 16}


@cache
def explaining() -> PictureMaker:
    """A model that compares with references, and aligns by up to 8 %."""
    return PictureMaker(pooled.mapper(edge.model()), **LIMITS)


def board() -> NDArray[np.uint8]:
    cells = np.random.default_rng(4).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return cells.repeat(8, axis=0).repeat(8, axis=1)


def picture(width: int, height: int, file_format: str, **more: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#806040").save(file, file_format, **more)
    return file.getvalue()


def made(maker: PictureMaker, image: bytes, reference: bytes | None = None) -> Made:
    found = maker.make(image, reference)
    assert found is not None
    return found


def size(data: bytes | None) -> tuple[int, int]:
    assert data is not None
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.format == "JPEG"
        return shown.size


def test_a_jpeg_that_any_browser_shows_stays_byte_for_byte() -> None:
    plain = picture(60, 40, "JPEG")
    found = made(PictureMaker(None, **LIMITS), plain, plain)

    assert (found.image, found.reference, found.heat) == (plain, plain, None)
    assert found.original is None
    large = picture(2000, 40, "PNG")
    assert made(PictureMaker(None, **LIMITS), large).original == large
    assert (found.width, found.height, found.x, found.y) == (60, 40, None, None)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (picture(60, 40, "PNG"), (60, 40)),
        (picture(60, 40, "TIFF"), (60, 40)),
        (picture(3200, 400, "JPEG"), (1600, 200)),
        (picture(60, 40, "JPEG", exif=ON_ITS_SIDE), (40, 60)),
    ],
    ids=["png", "tiff", "too large", "on its side"],
)  # fmt: skip
def test_others_become_upright_jpegs_of_a_size_for_the_screen(
    image: bytes, wanted: tuple[int, int]
) -> None:
    found = made(PictureMaker(None, **LIMITS), image)

    assert size(found.image) == wanted == (found.width, found.height)


def test_what_nobody_can_decode_has_no_pictures() -> None:
    assert PictureMaker(None, **LIMITS).make(NO_IMAGE, None) is None


def test_a_reference_that_nobody_can_decode_is_left_out() -> None:
    found = made(explaining(), picture(60, 40, "JPEG"), NO_IMAGE)

    assert (found.reference, found.heat) == (None, None)


def test_the_reference_is_laid_where_the_model_saw_it() -> None:
    whole = board()
    reference, image = png(whole[40:264, 40:264]), png(whole[48:272, 28:252])
    found = made(explaining(), image, reference)

    # What the reference shows at its edge, the image shows 8 px higher and 12 px to the right.
    assert found.down * 224 == pytest.approx(-8, abs=1)
    assert found.right * 224 == pytest.approx(12, abs=1)


def test_the_heat_map_has_the_image_s_size_and_its_hottest_place_is_where_both_differ() -> None:
    whole = board()
    reference, image = whole[40:264, 40:264], whole[40:264, 40:264].copy()
    image[150:190, 30:70] = 255 - image[150:190, 30:70]
    found = made(explaining(), png(image), png(reference))

    assert size(found.heat) == (224, 224)
    assert found.x == pytest.approx(50 / 224, abs=0.15)
    assert found.y == pytest.approx(170 / 224, abs=0.15)
