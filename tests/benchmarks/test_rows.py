from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import compare, plot, rows
from benchmarks.ways import Way


def test_spread_is_highest_less_lowest_over_the_median() -> None:
    assert rows.spread([9.0, 10.0, 12.0]) == pytest.approx(0.3)
    assert rows.spread([10.0]) is None


def test_median_leaves_out_what_the_clock_could_not_tell() -> None:
    assert rows.median([1.0, math.nan, 3.0]) == 2.0
    assert rows.median([math.nan]) is None


def test_ratios_are_taken_round_by_round() -> None:
    assert rows.ratios([9.0, 40.0, 8.0], [10.0, 50.0, 10.0]) == pytest.approx(0.8)


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
    limits, own = iter([10.0, 20.0, 30.0]), iter([9.0, 16.0, 27.0])

    def measure_limit() -> float:
        order.append("limit")
        return next(limits)

    def measure_own() -> float:
        order.append("own")
        return next(own)

    ways = [
        way("onnxruntime alone", measure_limit),
        way("pcb_spark", measure_own),
    ]
    alone, ours = compare.compare(ways, 3)
    assert order == ["limit", "own", "own", "limit", "limit", "own"]
    assert (alone.images_per_s, ours.images_per_s) == (20.0, 16.0)
    assert (alone.ratio_to_limit, ours.ratio_to_limit) == (1.0, 0.9)


def way(name: str, measure: Callable[[], float]) -> Way:
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
