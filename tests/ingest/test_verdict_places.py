"""Verdicts that name a board and a position: the images that they speak of, and those they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pcb_spark.ingest import verdicts
from tests.rows import manifest_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/date=2026-01-05"
COLUMNS = (
    "board_id string, position string, unit_position string, verdict string, defects string, "
    "message string, verified_at string"
)
Row = tuple[str, str, str | None, str]


def resolve(
    spark: SparkSession,
    told: list[Row],
    known: list[tuple[str, str, str]],
    message: str | None = "0",
) -> list[tuple[str | None, str | None, str | None]]:
    """Path, verdict and reason of (board, position, unit, verdict) rows, sorted.

    Images are (path, board, position).
    """
    moment = "2026-01-05T09:00:00Z"
    raw = [(b, p, unit, verdict, f"D{p}", message, moment) for b, p, unit, verdict in told]
    images = spark.createDataFrame(known, "relative_path string, board_id string, position string")
    found = verdicts.resolve(manifest_of(spark.createDataFrame(raw, COLUMNS)), images)
    rows = found.select("relative_path", "verdict", "fault_reason").collect()
    return sorted(((r[0], r[1], r[2]) for r in rows), key=str)


PANEL = [
    (f"{DAY}/up={unit}/PANEL7_{place}.png", "PANEL7", place)
    for unit in (1, 2)
    for place in ("R21", "R22")
]


def test_position_in_the_panel_is_part_of_the_key(spark: SparkSession) -> None:
    told: list[Row] = [("PANEL7", "R21", "1", "pass"), ("PANEL7", "R22", "2", "fail")]
    assert resolve(spark, told, PANEL) == [
        (f"{DAY}/up=1/PANEL7_R21.png", "pass", None), (f"{DAY}/up=2/PANEL7_R22.png", "fail", None),
    ]  # fmt: skip


def test_board_of_another_place_in_the_panel_is_not_labelled(spark: SparkSession) -> None:
    told: list[Row] = [("PANEL7", "R21", "1", "pass")]
    assert resolve(spark, told, PANEL[2:]) == [(None, "pass", None)]


@pytest.mark.parametrize("joint", ["_", "-", "."])
def test_board_id_may_be_the_panel_and_its_place(spark: SparkSession, joint: str) -> None:
    known = [(f"{DAY}/{n}_R21.png", f"PANEL7{joint}{n}", "R21") for n in (1, 2)]
    told: list[Row] = [("PANEL7", "R21", "02", "fail")]
    assert resolve(spark, told, known) == [(f"{DAY}/2_R21.png", "fail", None)]


AMBIGUOUS = (None, "fail", "verdict_ambiguous")


@pytest.mark.parametrize(
    "folders", [("date=2026-01-05", "date=2026-01-06"), ("line=L1", "line=L2"), ("up=1", "up=2")]
)
def test_key_that_fits_two_boards_labels_none(
    spark: SparkSession, folders: tuple[str, str]
) -> None:
    known = [(f"images/{folder}/b1_R1.png", "b1", "R1") for folder in folders]
    assert resolve(spark, [("b1", "R1", None, "fail")], known) == [AMBIGUOUS]


def test_panel_of_which_the_only_image_names_no_board_labels_none(spark: SparkSession) -> None:
    told: list[Row] = [("PANEL7", "R21", "1", "fail"), ("PANEL7", "R22", "2", "fail")]
    known = [(f"{DAY}/PANEL7_R21.png", "PANEL7", "R21")]
    assert resolve(spark, told, known) == [AMBIGUOUS, (None, "fail", None)]


def test_single_board_has_a_place_in_its_panel_as_well(spark: SparkSession) -> None:
    known = [(f"{DAY}/b1_R1.png", "b1", "R1")]
    assert resolve(spark, [("b1", "R1", "4", "fail")], known) == [
        (f"{DAY}/b1_R1.png", "fail", None)
    ]


def test_pictures_of_one_place_in_one_folder_have_one_verdict(spark: SparkSession) -> None:
    known = [(f"{DAY}/{side}.png", "b1", "R1") for side in ("left", "right")]
    assert resolve(spark, [("b1", "R1", None, "fail")], known) == [
        (f"{DAY}/left.png", "fail", None), (f"{DAY}/right.png", "fail", None),
    ]  # fmt: skip


@pytest.mark.parametrize("pins", ["U7.3", "U7.1-2", "U7.A1,B2", "U7-3", "U7-3,4"])
def test_pins_fall_back_to_their_part(spark: SparkSession, pins: str) -> None:
    known = [(f"{DAY}/b1_U7.png", "b1", "U7"), (f"{DAY}/b1_U70.png", "b1", "U70")]
    assert resolve(spark, [("b1", pins, None, "fail")], known) == [
        (f"{DAY}/b1_U7.png", "fail", None)
    ]


def test_place_in_a_grid_has_no_pins(spark: SparkSession) -> None:
    known = [(f"{DAY}/b1_1.png", "b1", "1")]
    told: list[Row] = [("b1", "1.2", None, "fail"), ("b1", "1-2", None, "fail")]
    assert resolve(spark, told, known) == [(None, "fail", None)] * 2


def test_image_of_the_pin_itself_counts_first(spark: SparkSession) -> None:
    known = [(f"{DAY}/b1_U7.png", "b1", "U7"), (f"{DAY}/b1_U7.3.png", "b1", "U7.3")]
    assert resolve(spark, [("b1", "U7.3", None, "fail")], known) == [
        (f"{DAY}/b1_U7.3.png", "fail", None)
    ]


@pytest.mark.parametrize("message", ["0", None])
@pytest.mark.parametrize(
    ("said", "verdict"),
    [(("pass", "fail"), "fail"), (("pass", "pass"), "pass"), (("pass", ""), None)],
)
def test_part_fails_where_one_of_its_pins_does(
    spark: SparkSession, message: str | None, said: tuple[str, str], verdict: str | None
) -> None:
    known = [(f"{DAY}/b1_U7.png", "b1", "U7")]
    told: list[Row] = [("b1", f"U7.{n}", None, word) for n, word in enumerate(said)]
    assert resolve(spark, told, known, message) == [(f"{DAY}/b1_U7.png", verdict, None)] * 2
