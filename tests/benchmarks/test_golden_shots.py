from __future__ import annotations

import numpy as np

from benchmarks.golden_shots import shot
from pcb_spark.core import images, registration
from tests.rows import png


def test_a_shot_shows_the_same_within_the_offset_that_is_corrected() -> None:
    cells = np.random.default_rng(1).integers(0, 256, (14, 14), dtype=np.uint8)
    pixels = images.decode(png(np.kron(cells, np.ones((16, 16), dtype=np.uint8))))

    taken = [shot(pixels, np.random.default_rng(seed)) for seed in (0, 0, 1)]

    assert images.is_grey(taken[0])
    assert np.array_equal(taken[0], taken[1])
    assert not np.array_equal(taken[0], taken[2])
    found = registration.find_offset(taken[0], pixels, limit=0.08)
    assert found.within
    assert max(abs(found.down), abs(found.right)) <= 6
