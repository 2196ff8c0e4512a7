from __future__ import annotations

import pytest

from pcb_spark.core import goldens, images
from pcb_spark.core.errors import ImageError
from pcb_spark.core.images import SIDE
from pcb_spark.core.pairs import PairReader, Reading
from pcb_spark.core.ranges import Range
from pcb_spark.serving.metrics import Metrics
from pcb_spark.serving.references import ReferenceStore, digest
from tests.rows import NO_IMAGE, noise

COLOURED = 3 * SIDE * SIDE
READER = PairReader(Reading(difference=True))


def store(*, most: int = 10 * COLOURED) -> tuple[ReferenceStore, Metrics]:
    metrics = Metrics()
    return ReferenceStore(most, metrics), metrics


def counted(metrics: Metrics, found: str) -> float | None:
    return metrics.registry.get_sample_value("pcb_references_total", {"found": found})


def test_same_array_is_given_again() -> None:
    kept, metrics = store()
    name = digest(noise(1))
    assert kept.get(name, READER) is None
    pixels = kept.decode(name, noise(1), READER)
    assert kept.get(name, READER) is pixels
    assert kept.decode(name, noise(1), READER) is pixels
    assert (counted(metrics, "hit"), counted(metrics, "miss")) == (1, 1)
    assert metrics.registry.get_sample_value("pcb_reference_bytes") == COLOURED


def test_what_was_used_longest_ago_goes_first() -> None:
    kept, metrics = store(most=2 * COLOURED)
    one, two, three = (digest(noise(n)) for n in (1, 2, 3))
    kept.decode(one, noise(1), READER)
    kept.decode(two, noise(2), READER)
    assert kept.get(one, READER) is not None
    kept.decode(three, noise(3), READER)
    assert kept.get(two, READER) is None
    assert kept.get(one, READER) is not None
    assert metrics.registry.get_sample_value("pcb_reference_bytes") == 2 * COLOURED


def test_model_that_reads_fewer_bits_has_references_of_its_own() -> None:
    kept, _ = store()
    name = digest(noise(1))
    kept.decode(name, noise(1), READER)
    assert kept.get(name, PairReader(Reading(difference=True, bit_depth=12))) is None


def test_what_good_images_show_is_kept_for_the_models_that_compare_with_it() -> None:
    kept, metrics = store()
    pixels = images.decode(noise(1))
    file = goldens.encode(pixels, Range(pixels, pixels))
    nearest = PairReader(Reading(difference=True, references="own", alignment="laid"))
    assert kept.decode(digest(file), file, READER).shown is None
    assert kept.get(digest(file), nearest) is None
    assert kept.decode(digest(file), file, nearest).shown is not None
    assert metrics.registry.get_sample_value("pcb_reference_bytes") == 4 * COLOURED


def test_unusable_reference_is_not_kept() -> None:
    kept, metrics = store()
    name = digest(NO_IMAGE)
    with pytest.raises(ImageError, match="reference_unusable"):
        kept.decode(name, NO_IMAGE, READER)
    assert kept.get(name, READER) is None
    assert metrics.registry.get_sample_value("pcb_reference_bytes") == 0
