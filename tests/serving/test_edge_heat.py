"""Heat maps at the plant: pcb-edge score --heat."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from pcb_spark.core import bundle, names
from pcb_spark.serving import edge
from tests import edge as made
from tests.rows import rendered_pairs


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "plant.pub").write_text(made.PLANT.public.text())
    assert edge.main(["--home", str(tmp_path), "trust", str(tmp_path / "plant.pub")]) == 0
    return tmp_path


def score(home: Path, place: Path, *words: object) -> int:
    given = ("--home", home, "score", "--bundle", place, "--json", *words)
    return edge.main([str(word) for word in given])


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """Images at the top and in a folder, each with its reference."""
    root, rows = tmp_path / "drop", ["image,reference"]
    for number, pair in enumerate(rendered_pairs(made.PAIRS)):
        files = (f"images/line=L1/b1_P{number}.png", f"references/P{number}.png")
        rows.append(",".join(files))
        for name, content in zip(files, pair, strict=True):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


def test_what_is_not_cleared_gets_one_of_its_own_size(
    key: Path, drop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = made.folder(key / "bundle", made.sealed(explaining=True))
    capsys.readouterr()
    assert score(key, place, drop, "--heat", key / "heat") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    written = {path.relative_to(key / "heat").as_posix() for path in (key / "heat").rglob("*.jpg")}
    failed = {f"{each['path']}.heat.jpg" for each in found if each["decision"] == "fail"}
    assert written == failed
    assert 0 < len(failed) < len(found)
    for name in written:
        picture = Image.open(io.BytesIO((key / "heat" / name).read_bytes()))
        with Image.open(drop / name.removesuffix(".heat.jpg")) as own:
            assert picture.size == own.size


def test_a_single_file_is_explained_against_its_reference(key: Path) -> None:
    place = made.folder(key / "bundle", made.sealed(explaining=True))
    image, reference = rendered_pairs(made.PAIRS)[-1]
    (key / "U7.png").write_bytes(image)
    (key / "U7_golden.png").write_bytes(reference)
    words = (key / "U7.png", "--reference", key / "U7_golden.png", "--heat", key / "heat")
    assert score(key, place, *words) == 0


def test_an_own_golden_image_of_the_bundle_explains_as_a_handed_over_one(
    key: Path, drop: Path
) -> None:
    model = made.model()
    manifest = dataclasses.replace(
        model.manifest, references=names.OWN, threshold={"value": 0.0, "audit_high_from": 0.0}
    )
    golden = {f"P{number}": pair[1] for number, pair in enumerate(rendered_pairs(made.PAIRS))}
    own = bundle.Bundle(manifest=manifest, parts=model.parts)
    handed_over = bundle.Bundle(
        manifest=dataclasses.replace(manifest, references=names.HANDED_OVER), parts=model.parts
    )
    sealed = made.sealed(made=own, own=golden, explaining=True)
    others = made.sealed(made=handed_over, explaining=True)

    assert score(key, made.folder(key / "own", sealed), drop, "--heat", key / "heat") == 0
    assert score(key, made.folder(key / "other", others), drop, "--heat", key / "others") == 0

    found = {
        path.relative_to(key / "heat"): path.read_bytes() for path in key.glob("heat/**/*.jpg")
    }
    assert len(found) == made.PAIRS
    for path, picture in found.items():
        assert picture == (key / "others" / path).read_bytes()


def test_a_bundle_of_an_earlier_version_says_so(
    key: Path, drop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = made.folder(key / "bundle", made.sealed())
    assert score(key, place, drop, "--heat", key / "heat") == 7
    assert "export it again" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_named(key: Path, drop: Path) -> None:
    place = made.folder(key / "bundle", made.sealed(explaining=True))
    (key / "heat").write_text("a file")
    assert score(key, place, drop, "--heat", key / "heat") == 11
