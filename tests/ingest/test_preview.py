"""What preview finds in a drop, without Spark; where Spark finds the same, both are asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.ingest import proposals, verdict_paths, verdict_places, verdicts
from pcb_spark.ingest.drop_files import DropFiles
from pcb_spark.ingest.places import OnDisk
from pcb_spark.ingest.preview import Look, Preview
from pcb_spark.ingest.proposals import Question, Trial
from pcb_spark.ingest.settings import IngestConfig
from pcb_spark.ingest.verdict_form import TEXTS
from tests import drops
from tests.pipeline.commands import DAY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEADER = "image,verdict,verified_at\n"
PICTURES: dict[str, bytes | str] = {f"{DAY}/b{n}_R{n}.png": drops.picture(n) for n in range(4)}


def look(root: Path, files: dict[str, bytes | str], **settings: Any) -> Look:
    drops.write(root, files)
    return Look(DropFiles(IngestConfig(**settings), OnDisk.qualified(str(root)), OnDisk()))


def found(root: Path, files: dict[str, bytes | str], **settings: Any) -> Preview:
    return look(root, files, **settings).at(IngestConfig(**settings))


def tried(root: Path, files: dict[str, bytes | str], **settings: Any) -> Trial:
    looking, wanted = look(root, files, **settings), IngestConfig(**settings)
    return proposals.try_out(looking, wanted, looking.at(wanted))


def reasons(preview: Preview) -> dict[str, int]:
    return {reason: each.count for reason, each in preview.reasons.items()}


def test_what_ingest_would_take(tmp_path: Path) -> None:
    rows = f"{DAY}/b0_R0.png,OK,2026-01-06T08:00:00Z\n./{DAY}/b1_R1.png,ng,\n"
    preview = found(tmp_path, {**PICTURES, "verdicts.csv": HEADER + rows})

    assert (preview.images, preview.looked_at) == (4, 4)
    assert preview.sources == Counter({"date folders": 4})
    assert (preview.matched, preview.labels) == (2, Counter({"pass": 1, "fail": 1}))
    assert preview.words == Counter({("OK", "pass"): 1, ("ng", "fail"): 1})
    (table,) = preview.tables
    assert (table.kind, table.encoding, table.separators) == ("CSV", "utf-8", (",",))


def test_every_reason_with_examples(tmp_path: Path) -> None:
    rows = [
        f"{DAY}/b0_R0.png,pass,yesterday",
        f"{DAY}/b1_R1.png,TRUE,",
        *(f"images/gone{n}.png,pass," for n in range(5)),
        f"{DAY}/b2_R2.png,pass",
        f"{DAY}/b3_R3.png,pass,2026-01-06T08:00:00Z",
        f"{DAY}/b3_R3.png,fail,2026-01-06T08:00:00Z",
    ]
    preview = found(tmp_path, {**PICTURES, "verdicts.csv": HEADER + "\n".join(rows)})

    assert reasons(preview) == {
        names.VERIFIED_AT_UNREADABLE: 1, names.VERDICT_UNKNOWN: 1, names.VERDICT_WITHOUT_IMAGE: 5,
        names.VERDICT_ROW_MALFORMED: 1, names.VERDICT_CONFLICT: 2,
    }  # fmt: skip
    assert preview.reasons[names.VERDICT_WITHOUT_IMAGE].examples == [
        f"verdicts.csv: no such file: images/gone{n}.png" for n in range(3)
    ]


def test_images_that_cannot_be_used(tmp_path: Path) -> None:
    preview = found(
        tmp_path,
        {
            f"{DAY}/empty_P1.png": b"",
            f"{DAY}/text_P1.png": "no picture",
            "images/undated_P1.png": drops.picture(),
            "images/date=someday/late_P1.png": drops.picture(),
            "images/told_P1.png": drops.picture(),
            "images/aside_P1.png": drops.picture(),
            "images/aside_P1.png.json": json.dumps({"captured_at": "2026-01-05T06:00:00Z"}),
            "manifest.csv": "image,captured_at\nimages/told_P1.png,2026-01-05T06:00:00Z\n",
        },
    )

    assert {reason: each.count for reason, each in preview.image_faults.items()} == {
        "empty_file": 1, "not_an_image": 1, names.CAPTURE_TIME_MISSING: 1,
        names.CAPTURE_TIME_UNREADABLE: 1,
    }  # fmt: skip
    assert preview.sources["captured_at of verdict files"] == 1
    assert preview.sources["captured_at of sidecars"] == 1


def test_at_most_500_images_are_looked_at(tmp_path: Path) -> None:
    pictures: dict[str, bytes | str] = {f"{DAY}/b{n}_P1.png": "x" for n in range(501)}

    preview = found(tmp_path, pictures)

    assert (preview.images, preview.looked_at) == (501, 500)


def test_no_drop(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        found(tmp_path / "nowhere", {}).images  # noqa: B018


def test_a_separator_that_only_the_rows_tell(tmp_path: Path) -> None:
    trial = tried(tmp_path, {
        **PICTURES, "verdicts.csv": f"image;image,verdict\n{DAY}/b0_R0.png,pass\n",
    })  # fmt: skip

    assert [each.settings for each in trial.proposals] in ([], [{"verdict_separator": ","}])


def test_an_encoding_that_the_files_of_the_drop_tell(tmp_path: Path) -> None:
    image = "images/date=2026-01-05/Плата_R1.png"
    rows = f"image,verdict\n{image},pass\n".encode("cp1251")

    trial = tried(tmp_path, {image: drops.picture(), "verdicts.csv": rows})

    assert [each.settings for each in trial.proposals] == [{"verdict_encoding": "cp1251"}]
    assert trial.found.matched == 1


def test_an_encoding_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    rows = f"image,verdict,operator_id\n{DAY}/b0_R0.png,pass,\xf1\n".encode("latin-1")

    (question,) = tried(tmp_path, {**PICTURES, "verdicts.csv": rows}).questions

    assert {"verdict_encoding": "cp1252"} in question.answers
    assert {"verdict_encoding": "cp1250"} in question.answers


def test_words_are_listed_for_the_plant_to_say(tmp_path: Path) -> None:
    rows = f"{DAY}/b0_R0.png,TRUE,\n{DAY}/b1_R1.png,TRUE,\n{DAY}/b2_R2.png,accepted,\n"

    trial = tried(tmp_path, {**PICTURES, "verdicts.csv": HEADER + rows})

    assert trial.proposals == []
    assert trial.questions == [
        Question(
            "what do these words mean: 2 TRUE, 1 accepted? Put pass (false call), "
            "fail (true defect) or unverified in place of each ?",
            ({"verdict_words": {"TRUE": "?", "accepted": "?"}},),
        )
    ]


def test_a_day_that_may_be_two_is_asked_for(tmp_path: Path) -> None:
    rows = f"{DAY}/b0_R0.png,pass,05/01/2025 08:15\n{DAY}/b1_R1.png,pass,02/03/2025 08:15\n"

    trial = tried(tmp_path, {**PICTURES, "verdicts.csv": HEADER + rows})

    assert trial.proposals == []
    assert [question.answers for question in trial.questions] == [
        (
            {"verdict_time_format": ("%d/%m/%Y %H:%M",)},
            {"verdict_time_format": ("%m/%d/%Y %H:%M",)},
        )
    ]


def test_times_in_names(tmp_path: Path) -> None:
    pictures = {f"images/L1_b{n}_20260105_08150{n}.png": drops.picture(n) for n in range(3)}

    (proposal,) = tried(tmp_path, {**pictures}).proposals

    assert proposal.settings == {
        "pattern": r"(?<!\d)(?P<captured_at>\d{8}_\d{6})(?!\d)", "time_format": "%Y%m%d_%H%M%S",
    }  # fmt: skip


def test_columns_of_boards_and_positions(tmp_path: Path) -> None:
    rows = "Seriennummer,Bauteil,Befund\n" + "".join(f"b{n},R{n},NG\n" for n in range(4))

    trial = tried(tmp_path, {**PICTURES, "verdicts.csv": rows})

    assert trial.settings.verdict_columns == {
        "board_id": "seriennummer", "position": "bauteil", "verdict": "befund",
    }  # fmt: skip
    assert trial.found.labels == Counter({"fail": 4})


PATHS = ["images/A.png", "images/a.PNG", "images/b c.png", "images/x/ü.png", "images/B.png"]
WRITTEN = [
    "images/A.png", "images\\A.png", "IMAGES/A.PNG", "./images/b%20c.png",
    "D:\\aoi\\drop\\images\\B.png",
    "images/x/u\u0308.png", "images/gone.png", "images/X/Ü.PNG", "drop/images/b.png",
]  # fmt: skip


def test_paths_are_found_as_spark_finds_them(spark: SparkSession) -> None:
    rows = [(written, None, None) for written in WRITTEN]
    manifest = spark.createDataFrame(rows, "image string, fault string, fault_reason string")
    files = verdict_paths.files(spark.createDataFrame([(p,) for p in PATHS], "path string"))
    readings = verdict_paths.read(manifest, "image", root="file:/data/drop")
    manifest = manifest.selectExpr("image as had", "*")
    corrected = verdict_paths.correct(manifest, "image", readings, files).collect()
    by_spark = {row["had"]: row["image"] if row["image"] in PATHS else None for row in corrected}

    known = verdict_paths.Files(PATHS, "file:/data/drop")
    by_python = {
        written: names_found[0] if len(names_found) == 1 else None
        for written, names_found in ((each, known.find(each)) for each in WRITTEN)
    }

    assert by_python == by_spark


SHOWN = [
    ("images/P1_1_R1.png", "P1_1", "R1"), ("images/P1_2_R1.png", "P1_2", "R1"),
    ("images/up=2/P2_R1.png", "P2", "R1"), ("images/up=1/P2_R1.png", "P2", "R1"),
    ("images/B7_U7.png", "B7", "U7"), ("images/other/B8_U1.png", "B8", "U1"),
    ("images/B8_U1.png", "B8", "U1"), ("images/B9.png", "B9", None),
]  # fmt: skip
ASKED = [
    {"board_id": "P1", "position": "R1", "unit_position": "1"},
    {"board_id": "P1", "position": "R1", "unit_position": "02"},
    {"board_id": "P2", "position": "R1", "unit_position": "2"},
    {"board_id": "P2", "position": "R1"},
    {"board_id": "B7", "position": "U7.3"}, {"board_id": "B7", "position": "U7-1,2"},
    {"board_id": "B8", "position": "U1"}, {"board_id": "B9", "position": "R1"},
    {"board_id": "B7", "position": "U7", "of_panel": "true", "unit_position": "1"},
]  # fmt: skip


def test_boards_are_found_as_spark_finds_them(spark: SparkSession) -> None:
    texts = ", ".join(f"{name} string" for name in TEXTS)
    rows = [(*(row.get(name) for name in TEXTS), "f", n) for n, row in enumerate(ASKED)]
    raw = spark.createDataFrame(rows, f"{texts}, file string, row_number long")
    known = spark.createDataFrame(SHOWN, "relative_path string, board_id string, position string")
    by_spark: dict[int, set[str]] = {}
    for row in verdicts.resolve(verdicts.read_manifest(raw), known).collect():
        by_spark.setdefault(row["row_number"], set()).update(filter(None, [row["relative_path"]]))

    boards = verdict_places.Boards(SHOWN, verdict_places.panels(ASKED))
    answers = [boards.find(row) for row in ASKED]
    by_python = {n: set() if several else {*paths} for n, (paths, several) in enumerate(answers)}

    assert by_python == by_spark
