from __future__ import annotations

import pytest

from benchmarks import compare, rounds
from benchmarks.rounds import Round
from benchmarks.ways import Way


def beyond(small: float, large: float) -> Round:
    """96 images more, as full depth has them in a quick run."""
    return Round(images=96, small=small, large=large)


def test_rate_is_that_of_the_images_beyond_the_smaller_run() -> None:
    told = rounds.steady([beyond(5.0, 14.6), beyond(5.1, 14.7)])
    assert told.rate == pytest.approx(10.0)
    assert told.note == ""


def test_spread_takes_each_smaller_run_off_each_larger_one() -> None:
    # each round by itself says 96 images in 8 s; across they say 7 s and 9 s
    told = rounds.steady([beyond(5.0, 13.0), beyond(6.0, 14.0)])
    assert told.rate == pytest.approx(12.0)
    assert told.spread == pytest.approx((96 / 7 - 96 / 9) / 12)


@pytest.mark.parametrize(
    "each",
    [
        # rounds agree by chance: runs of one size differ by as much as the images take
        [beyond(5.0, 5.8), beyond(5.6, 6.4)],
        [beyond(5.0, 5.4), beyond(5.0, 6.2)],
        [beyond(5.0, 4.9), beyond(5.0, 5.8)],
        [beyond(5.0, 14.6)],  # one difference has no spread
    ],
)
def test_rate_that_the_rounds_do_not_bear_out_is_not_told(each: list[Round]) -> None:
    told = rounds.steady(each)
    assert told.rate is None
    assert told.note.startswith("no rate: the images take too little time")


def test_one_run_by_itself_tells_its_rate() -> None:
    assert rounds.steady([Round(images=200, large=4.0)]).rate == 50.0


def compared(alone: list[Round], ours: list[Round]) -> tuple[float | None, float | None, str]:
    """Our rate, its share of the limit, and what is noted."""
    ways = [
        Way(name=name, model="full depth", precision="int8", n=96,
            measure=iter(each).__next__, warm_up=lambda: None)
        for name, each in (("onnxruntime alone", alone), ("pcb_spark", ours))
    ]  # fmt: skip
    row = compare.compare(ways, len(alone))[1]
    return row.images_per_s, row.ratio_to_limit, row.note


def test_figures_above_the_limit_say_that_this_cannot_be() -> None:
    limit = [Round(images=96, large=1.0), Round(images=96, large=0.98)]
    rate, share, note = compared(limit, [beyond(5.0, 5.96), beyond(5.0, 5.95)])
    assert rate == pytest.approx(100.5, abs=0.1)
    assert share == pytest.approx(1.037, abs=0.001)
    assert note == "above the limit, which can't be: as fast as it, within the spread"


def test_no_share_of_a_limit_is_told_where_there_is_no_rate() -> None:
    limit = [Round(images=96, large=1.0), Round(images=96, large=1.0)]
    rate, share, note = compared(limit, [beyond(5.0, 5.6), beyond(5.4, 6.0)])
    assert (rate, share) == (None, None)
    assert note.startswith("no rate: ")


def test_no_share_is_told_of_a_limit_that_is_not_told() -> None:
    limit = [Round(images=96, large=1.0), Round(images=96, large=2.0)]
    rate, share, _ = compared(limit, [beyond(5.0, 15.0), beyond(5.0, 15.1)])
    assert rate == pytest.approx(9.55, abs=0.01)
    assert share is None
