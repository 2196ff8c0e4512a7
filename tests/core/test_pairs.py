from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import goldens, images
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import PairReader, Reading
from tests.rows import NO_IMAGE, noise, png


def textured() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((20, 20, 1), dtype=np.uint8))


def pair_of_views() -> tuple[bytes, bytes]:
    whole = textured()
    return png(whole[8:232, 8:232]), png(whole[8:232, 4:228])


def test_both_are_cut_to_what_both_show() -> None:
    pair = PairReader(Reading(difference=True, max_offset=0.08)).read(*pair_of_views())
    assert pair.reference is not None
    assert not np.array_equal(pair.reference, images.decode(pair_of_views()[1]))
    assert np.abs(pair.image.astype(int) - pair.reference).mean() < 1


def test_models_of_earlier_versions_see_the_image_moved_onto_its_reference() -> None:
    image, reference = pair_of_views()
    pair = PairReader(Reading(difference=True, max_offset=0.08, alignment="fill")).read(
        image, reference
    )
    assert pair.reference is not None
    assert np.array_equal(pair.reference, images.decode(reference))
    middle = (slice(None), slice(20, -20), slice(20, -20))
    assert np.array_equal(pair.image[middle], pair.reference[middle])


def test_without_a_limit_they_see_it_as_it_is() -> None:
    image, reference = pair_of_views()
    pair = PairReader(Reading(difference=True, alignment="fill")).read(image, reference)
    assert np.array_equal(pair.image, images.decode(image))


def test_images_in_place_share_the_pixels_of_their_reference() -> None:
    pairs = PairReader(Reading(difference=True, max_offset=0.08))
    first, second = (pairs.read(noise(n), noise(7), key="7").reference for n in (7, 7))
    assert first is second


def golden_image(*laid: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """A golden image of decoded good images, as the table ``goldens`` has it."""
    made = goldens.golden(laid, limit=0.08)
    return goldens.encode(made.pixels, made.shown)


@pytest.mark.parametrize("right", [0, 6])
def test_the_nearest_that_good_images_show_is_the_image_but_for_what_none_of_them_does(
    right: int,
) -> None:
    """Good boards have a light that some have on; only the defect is beside it."""
    board, lit = np.full((2, 240, 240, 3), textured())
    lit[60:90, 60:90] = 255
    good = [images.decode(png(each[8:232, 8:232])) for each in (board, lit, board, lit)]
    seen = lit.copy()
    seen[150:180, 150:180] = 0
    reading = Reading(difference=True, max_offset=0.08, references="own", alignment="laid")

    pair = PairReader(reading).read(png(seen[8:232, 8 - right : 232 - right]), golden_image(*good))

    assert pair.reference is not None
    apart = np.abs(pair.image.astype(int) - pair.reference).max(axis=0)
    defect, light = apart[140:174, 140:180], apart[50:85, 50:90]
    assert light.max() < 30
    assert defect.max() > 60


def test_a_reference_without_a_range_is_what_its_image_is_compared_with() -> None:
    image, reference = pair_of_views()
    reading = Reading(difference=True, max_offset=0.08, references="own", alignment="laid")
    pair = PairReader(reading).read(image, reference)
    assert pair.reference is not None
    assert np.array_equal(pair.reference, images.decode(reference))
    assert np.abs(pair.image.astype(int) - pair.reference).mean() < 2


def test_a_grey_pair_stays_grey() -> None:
    good = [images.decode(png(textured()[8:232, 8:232, 0])) for _ in range(2)]
    reading = Reading(difference=True, max_offset=0.08, references="own", alignment="laid")
    pair = PairReader(reading).read(png(textured()[8:232, 4:228, 0]), golden_image(*good))
    assert pair.reference is not None
    assert (pair.image.strides[0], pair.reference.strides[0]) == (0, 0)


def test_a_model_that_does_not_compare_reads_no_reference() -> None:
    pair = PairReader(Reading(difference=False, max_offset=0.08)).read(noise(1), NO_IMAGE)
    assert pair.reference is None
    assert np.array_equal(pair.image, images.decode(noise(1)))


@pytest.mark.parametrize(
    ("image", "reference", "reason"),
    [
        (NO_IMAGE, noise(1), "not_an_image"),
        (noise(1), None, "reference_missing"),
        (noise(1), NO_IMAGE, "reference_unusable"),
    ],
)
def test_reasons(image: bytes, reference: bytes | None, reason: str) -> None:
    with pytest.raises(ImageError) as info:
        PairReader(Reading(difference=True)).read(image, reference)
    assert info.value.reason == reason


@pytest.mark.parametrize("source", ["own", "own_or_pinned"])
def test_without_own_golden_image_the_reason_says_so(source: str) -> None:
    with pytest.raises(ImageError) as info:
        PairReader(Reading(difference=True, references=source)).read(noise(1))
    assert info.value.reason == "golden_missing"


def test_larger_images_than_allowed_are_refused() -> None:
    with pytest.raises(ImageError) as info:
        PairReader(Reading(difference=False), max_pixels=100).read(noise(1))
    assert info.value.reason == "too_many_pixels"


def test_a_reference_is_decoded_once_while_its_key_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = images.decode

    def counting(data: bytes, **options: int) -> object:
        decoded.append(data)
        return decode(data, **options)

    monkeypatch.setattr(images, "decode", counting)
    pairs = PairReader(Reading(difference=True))
    for image, reference in ((1, 7), (2, 7), (3, 8), (4, 7)):
        pairs.read(noise(image), noise(reference), key=str(reference))

    assert decoded == [noise(n) for n in (1, 7, 2, 3, 8, 4, 7)]


def test_references_without_a_key_are_told_apart_by_their_bytes() -> None:
    pairs = PairReader(Reading(difference=True))
    pairs.read(noise(1), noise(7))
    second = pairs.read(noise(1), noise(8)).reference
    assert second is not None
    assert np.array_equal(second, images.decode(noise(8)))
