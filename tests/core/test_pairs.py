from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import images
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
