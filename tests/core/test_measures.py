from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pcb_spark.core import images, measures

if TYPE_CHECKING:
    from numpy.typing import NDArray


def scene(seed: int = 1) -> Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((300, 300), Image.Resampling.NEAREST)


def decoded(image: Image.Image, kind: str = "PNG", **options: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return images.decode(file.getvalue())


def bits_apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    mixed = measures.difference_hash(one) ^ measures.difference_hash(other)
    return sum(int(word).bit_count() for word in mixed.view(np.uint64))


@pytest.mark.parametrize(("shade", "clipped"), [(0, 1.0), (100, 0.0), (255, 1.0)])
def test_flat_image(shade: int, clipped: float) -> None:
    flat = np.full((3, 224, 224), shade, dtype=np.uint8)
    expected = measures.Measures(
        sharpness=0.0, brightness=shade, clipped=clipped, darkest=shade, brightest=shade
    )
    assert measures.measure(flat) == expected


def test_laplacian_of_one_bright_pixel() -> None:
    pixels = np.zeros((1, 5, 5), dtype=np.uint8)
    pixels[0, 2, 2] = 90
    # of 9 inner pixels one is -360, four are 90, four are 0: mean 0, variance (360² + 4 x 90²) / 9
    assert measures.measure(pixels).sharpness == pytest.approx(18_000)
    assert measures.measure(pixels).brightness == pytest.approx(90 / 25)


def test_blur_takes_sharpness_away() -> None:
    sharp = measures.measure(decoded(scene())).sharpness
    blurred = measures.measure(decoded(scene().filter(ImageFilter.GaussianBlur(3)))).sharpness
    assert blurred < sharp / 10


def test_copies_differ_in_three_bits_at_most() -> None:
    original = decoded(scene())
    assert bits_apart(original, decoded(scene(), "JPEG", quality=30)) <= 3
    assert bits_apart(original, decoded(scene().resize((150, 150)))) <= 3
    assert bits_apart(original, decoded(scene().point(lambda v: v * 0.9 + 10))) <= 3


def test_other_scenes_differ_in_many_bits() -> None:
    assert bits_apart(decoded(scene()), decoded(scene(2))) > 50


def test_noise_sets_no_bits() -> None:
    noise = np.random.default_rng(1).integers(120, 131, (3, 224, 224), dtype=np.uint8)
    assert measures.difference_hash(noise).tolist() == [0, 0, 0, 0]


def test_hash_has_one_bit_a_step_to_the_right() -> None:
    pixels = np.zeros((3, 224, 224), dtype=np.uint8)
    pixels[:, :14, 13:] = 200  # the first row of cells is brighter from its second cell on
    assert measures.difference_hash(pixels).tolist() == [-(2**63), 0, 0, 0]
