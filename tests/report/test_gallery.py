from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import goldens, images
from pcb_spark.core.ranges import Range
from pcb_spark.report import PairFiles, gallery
from tests.report import evidence
from tests.rows import png

if TYPE_CHECKING:
    from pcb_spark.report.evidence import Evidence


def shown(pair: PairFiles, max_offset: float) -> str:
    """The component image of ``i04`` as the gallery shows it."""
    whole = evidence.full(model=evidence.model(max_offset=max_offset), pairs={"i04": pair})
    cards = [card for _, group in gallery.cards(whole) for card in group if card.pictures]
    pictures = {picture.name: picture.uri for picture in cards[0].pictures}
    return "aligned" if pictures["image"] == pictures["reference"] else "as it is"


def test_image_is_shown_where_the_model_saw_it() -> None:
    board = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    board = board.repeat(8, axis=0).repeat(8, axis=1)
    reference, near, far = (png(board[:224, x : x + 224]) for x in (32, 22, 0))
    assert shown(PairFiles(near, reference), 0.08) == "aligned"
    assert shown(PairFiles(near, reference), 0.0) == "as it is"
    assert shown(PairFiles(far, reference), 0.08) == "as it is"


def test_people_see_the_golden_image_whatever_the_model_compares_with() -> None:
    """Where good images show everything, the nearest is the image itself."""
    golden = images.decode(evidence.pair(4).image)
    everything = Range(np.zeros_like(golden), np.full_like(golden, 255))
    files = PairFiles(evidence.pair(5).image, goldens.encode(golden, everything))
    seen = [
        evidence.full(model=evidence.model(references="own", alignment=each), pairs={"i04": files})
        for each in ("cut", "laid")
    ]
    mean, nearest = (first_pictures(whole) for whole in seen)
    assert mean["reference"] == nearest["reference"] != nearest["image"]
    assert mean["heat map"] != nearest["heat map"]


def first_pictures(whole: Evidence) -> dict[str, str]:
    cards = [card for _, group in gallery.cards(whole) for card in group if card.pictures]
    return {picture.name: picture.uri for picture in cards[0].pictures}


def test_an_own_golden_image_says_of_how_many_boards_and_since_when() -> None:
    pair = evidence.pair(4)
    own = PairFiles(pair.image, pair.reference, "5 boards since 2026-01-05")
    for files, name in ((own, "golden image, 5 boards since 2026-01-05"), (pair, "reference")):
        whole = evidence.full(pairs={"i04": files})
        cards = [card for _, group in gallery.cards(whole) for card in group if card.pictures]
        assert [picture.name for picture in cards[0].pictures][:2] == ["image", name]
