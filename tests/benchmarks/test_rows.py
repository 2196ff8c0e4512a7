from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import compare, plot, rows
from benchmarks.rounds import Round
from benchmarks.ways import Way


def test_spread_is_highest_less_lowest_over_the_median() -> None:
    assert rows.spread([9.0, 10.0, 12.0]) == pytest.approx(0.3)
    assert rows.spread([10.0]) is None


def test_median_leaves_out_what_the_clock_could_not_tell() -> None:
    assert rows.median([1.0, math.nan, 3.0]) == 2.0
    assert rows.median([math.nan]) is None


def test_ratios_are_taken_round_by_round() -> None:
    assert rows.ratios([9.0, 40.0, 8.0], [10.0, 50.0, 10.0]) == pytest.approx(0.8)


def test_a_rate_whose_rounds_differ_too_much_is_left_out() -> None:
    figure = rows.Row(way="ours", stage="fit", images_per_s=10.0, n=8, repeats=3, spread=0.33)
    assert rows.borne_out(figure) == figure
    wide = dataclasses.replace(figure, spread=0.5, ratio_to_limit=0.9, note="512 features")
    told = rows.borne_out(wide)
    assert (told.images_per_s, told.ratio_to_limit) == (None, None)
    assert told.note == "no rate: rounds differ by 50%; 512 features"


def test_markdown_leaves_out_columns_without_figures() -> None:
    found = [
        rows.Row(way="limit", stage="score", images_per_s=123.4, n=1000, repeats=3, spread=0.05),
        rows.Row(way="ours", stage="score", images_per_s=9.876, ratio_to_limit=0.95, n=1000),
    ]
    assert rows.markdown(found).splitlines() == [
        "| way | stage | images/s | of limit | n | repeats | spread |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| limit | score | 123 | - | 1,000 | 3 | 5% |",
        "| ours | score | 9.88 | 0.95 | 1,000 | 1 | - |",
    ]


def test_figures_are_kept_with_machine_and_date(tmp_path: Path) -> None:
    rows.save([rows.Row(way="ours", stage="score", images_per_s=1.0, n=2)], tmp_path / "r.json")
    (kept,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (kept["way"], kept["images_per_s"], kept["n"]) == ("ours", 1.0, 2)
    assert "cores" in kept["machine"]
    assert kept["date"].endswith("Z")


def test_ways_take_turns_and_are_set_against_the_limit_of_the_same_round() -> None:
    order: list[str] = []
    limits, own = iter([10.0, 8.0, 9.0]), iter([12.5, 10.0, 10.0])

    def measure_limit() -> Round:
        order.append("limit")
        return Round(images=100, large=next(limits))

    def measure_own() -> Round:
        order.append("own")
        return Round(images=100, small=5.0, large=5.0 + next(own))

    ways = [
        way("onnxruntime alone", measure_limit),
        way("pcb_spark", measure_own),
    ]
    alone, ours = compare.compare(ways, 3)
    assert order == ["limit", "own", "own", "limit", "limit", "own"]
    # 10, 12.5 and 11.1 images a second against 8, 10 and 10
    assert alone.images_per_s == pytest.approx(100 / 9)
    assert ours.images_per_s == 10.0
    assert alone.ratio_to_limit == 1.0
    assert ours.ratio_to_limit == pytest.approx(0.8)
    assert (alone.note, ours.note) == ("", "")


def way(name: str, measure: Callable[[], Round]) -> Way:
    return Way(
        name=name,
        model="default",
        precision="fp32",
        n=8,
        measure=measure,
        warm_up=lambda: None,
    )


def test_plot_is_drawn(tmp_path: Path) -> None:
    found = [rows.Row(way="ours", stage="score", images_per_s=10.0, n=8, spread=0.1)]
    plot.draw(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
