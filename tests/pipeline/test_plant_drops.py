"""A drop as a plant's tools write it: nothing is read wrongly, and a bad file costs itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pcb_spark.ingest import cfx
from pcb_spark.pipeline import run_ingest
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/line=L1/date=2026-01-05"
LATER, EARLIER = "2026-01-06T09:00:00Z", "2026-01-06T08:00:00Z"


def excel() -> bytes:
    """What Excel saves on a western Windows, by a station that writes OK, NG and backslashes."""
    rows = [
        "Bild;Ergebnis;reference;Operator_ID",
        f"{DAY}/E0_P1.png;OK;references\\gold.png;Müller".replace("/", "\\"),
        f".\\{DAY}/E1_P1.png;NG;;Müller".replace("/", "\\"),
        f"D:\\aoi\\drop\\{DAY}/E2_P1.png;False Call;;Müller".replace("/", "\\"),
        f"{DAY.upper()}/E3_P1.PNG;TRUE;;Müller",
    ]
    return "\r\n".join(rows).encode("cp1252")


def pandas_frame() -> bytes:
    frame = pd.DataFrame({
        "image": [f"{DAY}/F0_P1.png", f"{DAY}/F1_P1.png"],
        "verdict": pd.Categorical(["pass", "fail"]),
        "verified_at": pd.to_datetime(["2026-01-06 08:00", "2026-01-06 08:00"]),
    })  # fmt: skip
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def unit(board: str, place: int, **verified: Any) -> dict[str, Any]:
    """An inspected unit; ``verified`` says the VerificationResult of each position."""
    inspections = [
        {
            "InspectionName": f"INSPECT_{position}",
            "Result": "Failed",
            "DefectsFound": [
                {
                    "DefectCode": 112,
                    "ComponentOfInterest": {"ReferenceDesignator": position.replace("_", ".")},
                    "Verification": said,
                }
            ],
        }
        for position, said in verified.items()
    ]
    return {"UnitIdentifier": board, "UnitPositionNumber": place, "Inspections": inspections}


def message(*units: dict[str, Any], name: str = cfx.MESSAGE, inspector: Any = None) -> str:
    body = {"Inspector": inspector, "InspectedUnits": list(units)}
    return json.dumps({"MessageName": name, "TimeStamp": LATER, "MessageBody": body})


STATES = {
    "R1": "DefectConfirmed", "R2": "DefectRejected", "R3": "DefectAccepted",
    "R4": "DefectRepaired", "R5": "DefectClosed", "R6": "NotVerifiedYet", "R7_1": "DefectConfirmed",
    "R7_2": "DefectRejected",
}  # fmt: skip
VERDICTS: dict[str, bytes | str] = {
    "comma.csv": "image,verdict,defects,operator_id,verified_at\n"
    f"{DAY}/A0_P1.png,fail,open,short,OP7,{LATER}\n"
    f"{DAY}/A0_P1.png,pass,,OP9,{EARLIER}\n"
    f"{DAY}/A1_P1.png,fail,open\n",
    "quote.csv": "image,verdict,defects\n"
    f'{DAY}/B0_P1.png,fail,open\n{DAY}/B1_P1.png,fail,"bridge\n{DAY}/B2_P1.png,pass,\n',
    "utf16.csv": f"image\tverdict\r\n{DAY}/C0_P1.png\tpass\r\n".encode("utf-16"),
    "doubled.csv": f"image,verdict,verdict\n{DAY}/C1_P1.png,pass,fail\n",
    "russian.csv": f"image,verdict,operator_id\n{DAY}/C2_P1.png,pass,Иванов\n".encode("cp1251"),
    "notes.csv": "who,what\nkim,lunch\n",
    "excel.csv": excel(),
    "book.csv": b"PK\x03\x04 and so on",
    "pandas.parquet": pandas_frame(),
    "damaged.parquet": pandas_frame()[:-100],
    "panel.json": message(
        unit("PANEL7", 1, R21="DefectRejected"), unit("PANEL7", 2, R22="DefectConfirmed")
    ),
    "numbers.json": message(unit("G0", 1, R1="DefectConfirmed")),
    "wrong.json": message(unit("G1", 1, R1="DefectConfirmed"), inspector="OP7"),
    "states.json": message(unit("H", 1, **STATES)),
    "tested.json": message(name="CFX.Production.TestAndInspection.UnitsTested"),
    "places.csv": "board_id,position,verdict\nTWICE,R1,fail\n",
}
BOARDS = (
    "A0", "A1", "B0", "B1", "B2", "C0", "C1", "C2", "E0", "E1", "E2", "E3", "F0", "F1",
)  # fmt: skip
IMAGES = [
    *(f"{DAY}/{board}_P1.png" for board in BOARDS),
    *(f"{DAY}/up={n}/PANEL7_R2{m}.png" for n in (1, 2) for m in (1, 2)),
    f"{DAY}/G0_R1.png", f"{DAY}/G1_R1.png", *(f"{DAY}/H_R{n}.png" for n in range(1, 8)),
    f"{DAY}/TWICE_R1.png", "images/line=L2/date=2026-01-05/TWICE_R1.png",
    "images/undated/M0_P1.png",
]  # fmt: skip
WORDS = "ingest.verdict_columns={image='Bild', verdict='Ergebnis'}"


def verdicts(spark: SparkSession, folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """Verdict and defects of each image that has a row, by the part of its path that tells it."""
    images = spark.read.parquet(str(folder / "images"))
    found = spark.read.parquet(str(folder / "verdicts")).join(images, "image_id")
    rows = found.select("source_uri", "verdict", "defects").collect()
    return {uri.rpartition("/")[2][:-4]: (verdict, defects) for uri, verdict, defects in rows}


@pytest.mark.slow
def test_every_form_in_one_drop(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        name: drops.picture(shade) for shade, name in enumerate(IMAGES, start=1)
    }
    files |= {f"verdicts/{name}": content for name, content in VERDICTS.items()}
    files["references/gold.png"] = drops.picture(200)
    files["manifest.csv"] = "Bild;captured_at\nimages\\undated\\M0_P1.png;2026-01-05T07:00:00\n"
    job = drops.job(spark, drops.write(tmp_path / "drop", files), tmp_path / "out", WORDS)
    assert run_ingest(job).rows_rejected == 0

    assert verdicts(spark, tmp_path / "out") == {
        "A0_P1": ("pass", None), "B0_P1": ("fail", "open"), "C0_P1": ("pass", None),
        "E0_P1": ("pass", None), "E1_P1": ("fail", None), "E2_P1": ("pass", None),
        "F0_P1": ("pass", None), "F1_P1": ("fail", None), "M0_P1": (None, None),
        "PANEL7_R21": ("pass", None), "PANEL7_R22": ("fail", "112"), "G0_R1": ("fail", "112"),
        "H_R1": ("fail", "112"), "H_R2": ("pass", None), "H_R3": ("pass", None),
        "H_R4": ("fail", "112"), "H_R5": ("fail", "112"), "H_R6": (None, None),
        "H_R7": ("fail", "112"),
    }  # fmt: skip
    panel = drops.rows(spark, tmp_path / "out", "images", "source_uri", "image_id")
    judged = {row[0] for row in drops.rows(spark, tmp_path / "out", "verdicts", "image_id")}
    of_panel = [uri[-20:] for uri, image_id in panel if "PANEL7" in uri and image_id in judged]
    assert of_panel == ["/up=1/PANEL7_R21.png", "/up=2/PANEL7_R22.png"]
    rejects = drops.rows(spark, tmp_path / "out", "rejects", "source_uri", "reason")
    assert sorted((uri.rpartition("/")[2], reason) for uri, reason in rejects) == [
        ("E3_P1.png", "verdict_unknown"),
        ("H_R7.png", "verdict_superseded"),
        ("book.csv", "verdict_unreadable"),
        ("comma.csv", "verdict_row_malformed"),
        ("comma.csv", "verdict_row_malformed"),
        ("damaged.parquet", "verdict_unreadable"),
        ("doubled.csv", "verdict_file_malformed"),
        ("notes.csv", "verdict_unreadable"),
        ("places.csv", "verdict_ambiguous"),
        ("quote.csv", "verdict_file_malformed"),
        ("quote.csv", "verdict_file_malformed"),
        ("russian.csv", "verdict_unreadable"),
        ("tested.json", "message_without_verdict"),
        ("wrong.json", "verdict_row_malformed"),
    ]
    golden = spark.read.parquet(str(tmp_path / "out" / "images")).where("reference is not null")
    assert [row["board_id"] for row in golden.collect()] == ["E0"]

    settings = (WORDS, "ingest.verdict_words={TRUE='fail'}", "ingest.verdict_encoding='cp1251'")
    with_mark = excel().decode("cp1252").encode("utf-8-sig")
    drops.write(tmp_path / "drop", {"verdicts/excel.csv": with_mark})
    drops.ingest(spark, tmp_path / "drop", tmp_path / "out", *settings)
    found = verdicts(spark, tmp_path / "out")
    assert (found["E3_P1"], found["C2_P1"]) == (("fail", None), ("pass", None))
