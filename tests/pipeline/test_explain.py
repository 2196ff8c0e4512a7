"""A board of a whole run, explained."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import decisions
from pcb_spark.pipeline.explain import run_explain
from tests import registries
from tests.leased import claimed

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

pytestmark = pytest.mark.slow

DAY = date(2026, 1, 15)


def board_of(job: Job) -> str:
    """A board of the day."""
    scores = job.spark.read.parquet(job.table("scores")).where(F.col("capture_date") == DAY)
    return str(scores.agg(F.min(names.BOARD_ID)).collect()[0][0])


def explained(job: Job, board: str, to: Path, *, as_json: bool = True) -> Any:
    """The answer: JSON, or the page's text."""
    with claimed(job, "explain") as own:
        run_explain(own, board=board, to=to, as_json=as_json)
    text = to.read_text(encoding="utf-8")
    return json.loads(text) if as_json else text


def test_a_board_of_a_night_is_explained_and_one_that_was_pruned_by_its_decisions(
    copy: Job, tmp_path: Path
) -> None:
    board, before = board_of(copy), copy.started_at - timedelta(days=30)
    images = tables.read(copy.spark, copy.table("images"), schemas.IMAGES)
    scores = tables.read(copy.spark, copy.table("scores"), schemas.SCORES)
    day = scores.where(F.col("capture_date") == DAY)
    decisions.publish(copy, day, images, registries.VERSION, [DAY])
    stop = (before, "stop", None, "anna", "new paste", "r")
    tables.append_rows(copy.spark, [stop], copy.table("clearing"), schemas.CLEARING)

    found = explained(copy, board, tmp_path / "board.json")

    own = day.where(F.col(names.BOARD_ID) == board).collect()
    assert len(found["images"]) == len(own) == 10
    rows = {row[names.IMAGE_ID]: row for row in own}
    for image in found["images"]:
        row = rows[image["image_id"]]
        assert image["score"]["probability"] == row[names.PROBABILITY]
        assert [each["decision"] for each in image["published"]] == [row[names.DECISION]]
        assert image["why"]
        if row[names.STATUS] == names.STATUS_OK:
            assert [each["name"] for each in image["pictures"]] == [
                "image", "reference", "heat map"
            ]  # fmt: skip
    (model,) = found["models"]
    assert (model["model_sha256"], model["registry_version"]) == (own[0]["model_sha256"], "3")
    assert found["notes"] == []

    html = explained(copy, board, tmp_path / "board.html", as_json=False)
    assert html.count('alt="Heat map of') >= 9
    assert "Published by nights" in html

    for name in ("images", "scores", "bundle"):
        shutil.rmtree(Path(copy.out) / name)
    left = explained(copy, board, tmp_path / "later.json")
    assert {image["image_id"] for image in left["images"]} == rows.keys()
    assert all(image["published"] for image in left["images"])


def test_a_board_that_no_table_knows_is_told_with_names_like_it(copy: Job, tmp_path: Path) -> None:
    board = board_of(copy)

    with pytest.raises(InputError, match=rf"knows a board {board}x(.|\n)*{board}"):
        explained(copy, f"{board}x", tmp_path / "board.json")


def test_a_page_that_cant_be_written_is_told(copy: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be written"):
        explained(copy, board_of(copy), tmp_path / "gone" / "board.json")
