"""``pcb-edge`` as people type it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pcb_spark.core import bundle, names
from pcb_spark.core.scorer import Scorer
from pcb_spark.serving import edge
from tests import edge as made
from tests.rows import NO_IMAGE, rendered_pairs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "plant.pub").write_text(made.PLANT.public.text())
    usb = made.archive(tmp_path / "edge.zip", made.sealed().files())
    assert call(tmp_path / "home", "trust", tmp_path / "plant.pub") == 0
    assert call(tmp_path / "home", "update", usb) == 0
    return tmp_path / "home"


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    root = tmp_path / "drop"
    rows = ["image,reference,part_number"]
    for number, (image, reference) in enumerate(rendered_pairs(made.PAIRS)):
        path = root / "images" / "line=L1" / "2026-01-05" / f"b1_P{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        (root / "references").mkdir(exist_ok=True)
        (root / "references" / f"P{number}.png").write_bytes(reference)
        rows.append(f"{path.relative_to(root)},references/P{number}.png,R10K")
    (root / "verdicts.csv").write_text("\n".join(rows))
    (path.parent / "b1_P9.png").write_bytes(NO_IMAGE)
    return root


def call(home: Path, *arguments: object) -> int:
    return edge.main(["--home", str(home), *map(str, arguments)])


def test_a_drop_is_scored_as_spark_would(
    home: Path, drop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert call(home, "score", drop, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    scorer = Scorer(made.model())
    expected = [scorer.score(*pair) for pair in rendered_pairs(made.PAIRS)]
    assert [each["probability"] for each in found] == [*(e.probability for e in expected), None]
    assert [each["decision"] for each in found] == [*(e.decision for e in expected), "unscorable"]
    assert found[3]["reason"] == "not_an_image"
    assert found[3]["review"] == "unscorable"
    first = found[0]
    assert (first["line"], first["board_id"], first["position"]) == ("L1", "b1", "P0")
    assert first["captured_at"] == "2026-01-05T00:00:00+00:00"
    assert first["part_number"] == "R10K"
    assert first["unseen"] == ["part_number"]
    assert first["reference"] == "references/P0.png"


def test_single_files_are_scored_against_one_reference_as_a_table(
    home: Path, drop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    image = next(drop.rglob("b1_P0.png"))
    golden = drop / "references" / "P0.png"
    assert call(home, "score", image, "--reference", golden) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["decision", "review", "probability", "threshold", "reason", "path"]
    probability = Scorer(made.model()).score(*rendered_pairs(1)[0]).probability
    assert f"{probability:.6f}" in row.split()
    assert row.endswith("b1_P0.png")
    assert call(home, "score", image) == 0
    assert "reference_missing" in capsys.readouterr().out


def test_a_bundle_that_was_tampered_with_changes_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = made.sealed(seed=6).files()
    files["graph.onnx"] = files["graph.onnx"][:-1] + b"\0"
    before = (home / "current").resolve()
    assert call(home, "update", made.archive(tmp_path / "bad.zip", files)) == 7
    error = capsys.readouterr().err
    assert error.startswith("BundleError: ")
    assert "not the file that was signed for" in error
    assert (home / "current").resolve() == before
    assert call(home, "doctor") == 0


@pytest.mark.parametrize(
    ("own", "code", "said"),
    [
        (
            {"P1": rendered_pairs(1)[0][1]},
            0,
            "1, the newest good from 2026-01-05",
        ),
        ({}, 3, "none: export again"),
    ],
    ids=["some", "none"],
)
def test_doctor_tells_of_own_golden_images_where_the_model_compares_with_them(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    own: dict[str, bytes],
    code: int,
    said: str,
) -> None:
    model = made.model()
    manifest = dataclasses.replace(model.manifest, references=names.OWN)
    sealed = made.sealed(made=bundle.Bundle(manifest=manifest, parts=model.parts), own=own)
    assert call(home, "update", made.archive(tmp_path / "own.zip", sealed.files())) == 0
    capsys.readouterr()
    assert call(home, "doctor") == code
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "golden images" in each]
    assert line.startswith("FAIL" if code else "ok")
    assert said in line


def test_doctor_of_a_bare_machine_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path / "bare", "doctor") == 3
    said = capsys.readouterr()
    assert "FAIL  trusted keys" in said.out
    assert said.err.startswith("EnvironmentFault")
    assert call(tmp_path / "bare", "score", tmp_path) == 7


def test_nothing_to_score_is_an_error(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(home, "score", tmp_path / "nowhere.png") == 4
    assert call(home, "watch", tmp_path / "nowhere", "--out", tmp_path / "out") == 4
    assert "there is no" in capsys.readouterr().err


def test_what_cannot_be_read_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        edge.main(["scroe"])
    assert "invalid choice" in capsys.readouterr().err
