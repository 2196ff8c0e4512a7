"""Which column of a plant's own table is which, told by what stands in it and by its name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pcb_spark.ingest import proposals
from pcb_spark.ingest.drop_files import DropFiles
from pcb_spark.ingest.places import OnDisk
from pcb_spark.ingest.preview import Look
from pcb_spark.ingest.settings import IngestConfig
from tests import drops

if TYPE_CHECKING:
    from pcb_spark.ingest.proposals import Trial

FOLDER = "images/line=L{line}/date=2026-01-05"
#: Four boards with two places each, on two lines, and what is said of each picture.
PLACES = [(1 + n // 4, f"SN{n // 2}", f"R{n % 2}") for n in range(8)]
IMAGES = [f"{FOLDER.format(line=line)}/{board}_{place}.png" for line, board, place in PLACES]
GOLDEN = [f"A7_{place}.png" for _, _, place in PLACES]


def pictures(golden: str = "references") -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {path: drops.picture(n) for n, path in enumerate(IMAGES)}
    return files | {f"{golden}/{name}": drops.picture() for name in GOLDEN}


def tried(root: Path, name: str, table: str | bytes, *, golden: str = "references") -> Trial:
    drops.write(root, {**pictures(golden), name: table})
    settings = IngestConfig()
    look = Look(DropFiles(settings, OnDisk.qualified(str(root)), OnDisk()))
    return proposals.try_out(look, settings, look.at(settings))


def proposed(trial: Trial) -> dict[str, Any]:
    return {key: value for each in trial.proposals for key, value in each.settings.items()}


def questions(trial: Trial) -> list[str]:
    return [question.why for question in trial.questions]


def semicolons(header: str, rows: list[list[str]]) -> str:
    return "\r\n".join([header, *(";".join(row) for row in rows)]) + "\r\n"


def test_a_french_table_in_another_order(tmp_path: Path) -> None:
    table = semicolons(
        "Résultat;N° de lot;Opérateur;Code défaut;Image de référence;Ligne;Fichier image;Repère;"
        "N° de série;Vérifié le",
        [
            ["OK", "4711", "Zoé", "", f"references\\{golden}", f"L{line}",
             image.replace("/", "\\"), place, board, f"{13 + n}.01.2026 08:15"]
            for n, (image, golden, (line, board, place)) in enumerate(
                zip(IMAGES, GOLDEN, PLACES, strict=True))
        ],
    )  # fmt: skip
    trial = tried(tmp_path, "verdicts.csv", table.encode("utf-8-sig"))

    assert proposed(trial)["verdict_columns"] == {
        "image": "fichier image", "verdict": "résultat", "verified_at": "vérifié le",
        "reference": "image de référence", "board_id": "n° de série", "position": "repère",
        "line": "ligne", "lot": "n° de lot", "operator_id": "opérateur",
    }  # fmt: skip
    assert trial.found.matched == len(IMAGES)


def test_a_japanese_table_of_boards_and_places(tmp_path: Path) -> None:
    rows = [
        f"{board}\t{place}\tNG\tブリッジ\t佐藤\tLT{line}\t部番{place}"
        for line, board, place in PLACES
    ]
    table = "\n".join(["基板番号\t部品\t判定\t不良内容\t検査者\tロット番号\t品番", *rows])
    trial = tried(tmp_path, "verdicts.csv", table.encode("utf-16"))

    assert proposed(trial)["verdict_columns"] == {
        "board_id": "基板番号", "position": "部品", "verdict": "判定", "defects": "不良内容",
        "operator_id": "検査者", "lot": "ロット番号", "part_number": "品番",
    }  # fmt: skip


def test_parquet_and_json_with_names_of_their_own(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "file_name": IMAGES, "golden_image": [f"references/{g}" for g in GOLDEN],
        "Batch": "B7", "Serial": [board for _, board, _ in PLACES], "judgement": "false call",
    })  # fmt: skip
    file = io.BytesIO()
    frame.to_parquet(file)
    expected = {
        "image": "file_name", "verdict": "judgement", "reference": "golden_image",
        "board_id": "Serial", "lot": "Batch",
    }  # fmt: skip
    by_parquet = tried(tmp_path / "parquet", "results.parquet", file.getvalue())
    assert proposed(by_parquet)["verdict_columns"] == expected

    lines = "\n".join(json.dumps(row) for row in frame.to_dict("records"))
    by_json = tried(tmp_path / "json", "results.jsonl", lines)
    assert proposed(by_json)["verdict_columns"] == expected


def test_golden_images_in_a_folder_of_another_name(tmp_path: Path) -> None:
    rows = [f"{image},master/{golden},OK" for image, golden in zip(IMAGES, GOLDEN, strict=True)]
    table = "\n".join(["image,Golden Image,verdict", *rows])
    trial = tried(tmp_path, "verdicts.csv", table, golden="master")

    assert proposed(trial) == {
        "verdict_columns": {"reference": "golden image"}, "references": "master",
    }  # fmt: skip


def test_golden_images_among_the_others(tmp_path: Path) -> None:
    images = [image.replace("images/", "") for image in IMAGES]
    drops.write(tmp_path, {image: drops.picture() for image in images})
    drops.write(tmp_path, {f"master/{name}": drops.picture() for name in GOLDEN})
    rows = [f"{image},master/{golden},OK" for image, golden in zip(images, GOLDEN, strict=True)]
    drops.write(tmp_path, {"verdicts.csv": "\n".join(["Photo,Referenz,verdict", *rows])})
    settings = IngestConfig()
    look = Look(DropFiles(settings, OnDisk.qualified(str(tmp_path)), OnDisk()))
    trial = proposals.try_out(look, settings, look.at(settings))

    assert proposed(trial) == {
        "verdict_columns": {"image": "photo", "reference": "referenz"}, "references": "master",
    }  # fmt: skip
    assert trial.found.image_faults == {}


def test_a_file_of_another_name_in_an_encoding_that_is_not_certain(tmp_path: Path) -> None:
    rows = [f"{image};NG;José" for image in IMAGES]
    table = "\n".join(["Imagen;Resultado;Número", *rows])
    trial = tried(tmp_path, "resultado.csv", table.encode("cp1252"))

    assert proposed(trial) == {"verdicts": "resultado.csv"}
    assert "is in none that is certain" in questions(trial)[0]


def test_other_pictures_may_be_golden_and_are_asked_for(tmp_path: Path) -> None:
    rows = [f"{image},whole/{golden},OK" for image, golden in zip(IMAGES, GOLDEN, strict=True)]
    table = "\n".join(["image,Overview,verdict", *rows])
    trial = tried(tmp_path, "verdicts.csv", table, golden="whole")

    assert trial.proposals == []
    assert questions(trial) == ["which column of verdicts.csv holds reference?"]
    assert trial.questions[0].answers == (
        {"verdict_columns": {"reference": "overview"}, "references": "whole"},
    )  # fmt: skip


def test_golden_images_that_never_came_by_their_columns_name(tmp_path: Path) -> None:
    rows = [f"{image},gone/{golden},OK" for image, golden in zip(IMAGES, GOLDEN, strict=True)]
    trial = tried(tmp_path, "verdicts.csv", "\n".join(["image,Golden,verdict", *rows]))

    assert proposed(trial) == {"verdict_columns": {"reference": "golden"}}


def test_two_columns_that_fit_alike_are_asked_for(tmp_path: Path) -> None:
    rows = [f"{image},OK,LA,LB,references/A7_R0.png,references/A7_R1.png" for image in IMAGES]
    header = "image,verdict,Batch,Charge,Top,Bottom"
    trial = tried(tmp_path, "verdicts.csv", "\n".join([header, *rows]))

    assert trial.proposals == []
    assert questions(trial) == [
        "which column of verdicts.csv holds reference?", "which column of verdicts.csv holds lot?",
    ]  # fmt: skip
    assert trial.questions[1].answers == (
        {"verdict_columns": {"lot": "batch"}}, {"verdict_columns": {"lot": "charge"}},
    )  # fmt: skip


def test_what_every_row_says_alike_proves_nothing(tmp_path: Path) -> None:
    kept = [image for image in IMAGES if "SN0_R0" in image]
    rows = [f"{image},OK,R0,SN0" for image in kept]
    trial = tried(tmp_path, "verdicts.csv", "\n".join(["image,verdict,Kamera,Programm", *rows]))

    assert (trial.proposals, trial.questions) == ([], [])


def test_words_that_only_hold_one_of_ours_are_left(tmp_path: Path) -> None:
    rows = [f"{image},OK,R7,x" for image in IMAGES]
    header = "image,verdict,Statuscode,Operator comment"
    trial = tried(tmp_path, "verdicts.csv", "\n".join([header, *rows]))

    assert (trial.proposals, trial.questions) == ([], [])
