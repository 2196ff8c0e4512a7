from __future__ import annotations

import dataclasses
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.review import approvals, items, queue
from tests import reviews

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def test_what_one_of_two_found_bad_is_no_candidate(store: Engine) -> None:
    queue.load(store, [reviews.item("a"), reviews.item("b")])
    reviews.said_by(store, "a", {"anna": "DefectRejected", "ben": "DefectConfirmed"})
    reviews.said_by(store, "b", {"anna": "DefectRejected", "ben": "DefectAccepted"})

    assert [each["item_id"] for each in approvals.candidates(store)] == ["b"]


def test_a_golden_image_is_the_file_that_the_camera_wrote(store: Engine, tmp_path: Path) -> None:
    pictures = dataclasses.replace(reviews.pictures(), original="run/own.tif")
    folder = reviews.folder(tmp_path, [reviews.item("a", pictures=pictures)])
    (folder / "run" / "own.tif").write_bytes(b"16 bits")
    queue.load(store, items.read(folder / "run"))
    reviews.said_by(store, "a", {"anna": "DefectRejected"})
    told = approvals.Approval(
        item_id="a", valid_from=date(2026, 2, 1), valid_until=None, why="ECO 7"
    )
    approvals.approve(store, "op-lea", told)

    with zipfile.ZipFile(io.BytesIO(approvals.archive(store, folder))) as packed:
        assert packed.read("references/approved-a.tif") == b"16 bits"
        assert (
            packed.read("references.csv")
            .decode()
            .splitlines()[1]
            .startswith("references/approved-a.tif,")
        )
