from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pcb_spark.core import edge_bundle, self_test
from pcb_spark.core.decisions import scorer_of
from pcb_spark.core.errors import BundleError
from pcb_spark.core.scorer import Scorer
from pcb_spark.core.share_cap import Cap
from tests import edge as made
from tests.rows import noise

TRUSTED = [made.PLANT.public]
PARTS = ["graph.onnx", *(f"self_test/{n}_{what}" for n in range(made.PAIRS)
         for what in ("image", "reference"))]  # fmt: skip


@pytest.fixture(scope="module")
def edge() -> edge_bundle.EdgeBundle:
    return made.sealed()


@pytest.fixture
def folder(tmp_path: Path, edge: edge_bundle.EdgeBundle) -> Path:
    return made.folder(tmp_path / "edge", edge)


def test_what_was_sealed_is_what_is_opened(
    folder: Path, tmp_path: Path, edge: edge_bundle.EdgeBundle
) -> None:
    stored = made.archive(tmp_path / "stored.zip", edge.files())
    packed = made.archive(tmp_path / "packed.zip", edge.files(), packed=True)
    for path in (folder, stored, packed):
        assert edge_bundle.open_bundle(path, TRUSTED) == edge
    assert sorted(edge.parts) == PARTS
    assert "model 2026-02-27-0123456789ab" in edge.comment


def test_a_share_cap_comes_with_the_bundle_and_passes_no_earlier_version_by(
    tmp_path: Path, edge: edge_bundle.EdgeBundle
) -> None:
    capped = made.sealed(cap=Cap(0.3, 0.0))
    opened = edge_bundle.open_bundle(made.folder(tmp_path / "capped", capped), TRUSTED)
    assert opened == capped
    assert [json.loads(each.signed)["format"] for each in (edge, capped)] == [1, 2]
    assert {known.decision for known in opened.manifest.self_test} == {"fail"}
    assert self_test.differences(opened, scorer_of(opened)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [({"model_sha256": "b" * 64}, "share cap is of another model"), ({"night": "x"}, "share cap")],
)
def test_a_share_cap_that_is_none_of_the_model_is_refused(
    change: dict[str, str], said: str, tmp_path: Path
) -> None:
    files = made.forged(made.sealed(cap=Cap(0.3, 0.0)), lambda raw: raw["share_cap"].update(change))
    with pytest.raises(BundleError, match=said):
        edge_bundle.open_bundle(made.archive(tmp_path / "edge.zip", files), TRUSTED)


def test_its_model_scores_as_the_one_it_was_made_of(folder: Path) -> None:
    opened = edge_bundle.open_bundle(folder, TRUSTED)
    assert self_test.differences(opened, Scorer(opened.model)) == []
    assert {known.decision for known in opened.manifest.self_test} == {"pass", "fail"}


def test_a_model_that_answers_otherwise_is_told_image_by_image(
    edge: edge_bundle.EdgeBundle,
) -> None:
    found = self_test.differences(edge, Scorer(made.model(seed=6)))
    assert len(found) == made.PAIRS
    assert found[0].startswith("self_test/0_image: expected 0.")


def test_an_image_that_cannot_be_scored_any_more_is_told(edge: edge_bundle.EdgeBundle) -> None:
    spoiled = {**edge.parts, "self_test/0_image": b"no image"}
    other = edge_bundle.EdgeBundle(
        manifest=edge.manifest, parts=spoiled, signed=b"", signature=b"", comment=""
    )
    (told,) = self_test.differences(other, Scorer(edge.model))
    assert "unscorable (not_an_image" in told


@pytest.mark.parametrize("name", [*PARTS, "manifest.json"])
def test_one_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"not the file that was signed|is not what the key"):
        edge_bundle.open_bundle(folder, TRUSTED)


@pytest.mark.parametrize("name", [*PARTS, "manifest.json", "manifest.json.minisig"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"lacks {name}"):
        edge_bundle.open_bundle(folder, TRUSTED)


def test_a_part_that_grew_is_read_no_further_than_it_was_signed(folder: Path) -> None:
    with (folder / "graph.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match=r"graph\.onnx in .* is longer than it may be"):
        edge_bundle.open_bundle(folder, TRUSTED)


def test_a_bundle_of_a_stranger_is_refused(tmp_path: Path) -> None:
    other = made.folder(tmp_path / "other", made.sealed(key=made.STRANGER))
    with pytest.raises(BundleError, match="isn't trusted here"):
        edge_bundle.open_bundle(other, TRUSTED)
    both = [*TRUSTED, made.STRANGER.public]
    assert edge_bundle.open_bundle(other, both).manifest.created_at == made.EXPORTED


def test_nothing_is_parsed_that_nobody_signed(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="is not what the key"):
        edge_bundle.open_bundle(folder, TRUSTED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(format=3), "another format"),
        (lambda raw: raw.pop("shares"), "other fields"),
        (lambda raw: raw.update(self_test=[]), "no image to test it with"),
        (lambda raw: raw.update(self_test=[{"image": "x"}]), "other fields"),
        (lambda raw: raw["files"].pop("graph.onnx"), "pins no file"),
        (lambda raw: raw["files"].pop("self_test/1_image"), "pins no file"),
        (lambda raw: raw["model"].update(model_sha256="0" * 64), "model is of another graph"),
        (lambda raw: raw["files"]["graph.onnx"].update(bytes=3 << 30), "larger than a bundle"),
        (
            lambda raw: raw["files"].update({"../../etc/x": {"sha256": "", "bytes": 1}}),
            "may lie elsewhere",
        ),
        (lambda raw: raw["files"]["graph.onnx"].update(bytes=-5), "larger than a bundle"),
        (lambda raw: raw["files"].update({"/x": {"sha256": "", "bytes": 1}}), "may lie elsewhere"),
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_refused(
    tmp_path: Path,
    edge: edge_bundle.EdgeBundle,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    path = made.archive(tmp_path / "forged.zip", made.forged(edge, change))
    with pytest.raises(BundleError, match=message):
        edge_bundle.open_bundle(path, TRUSTED)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_path_that_leaves_the_archive_refuses_all_of_it(
    tmp_path: Path, edge: edge_bundle.EdgeBundle, name: str
) -> None:
    path = made.archive(tmp_path / "a.zip", {**edge.files(), name: b"evil"})
    with pytest.raises(BundleError, match=r"(?s)leaves the archive.*evil"):
        edge_bundle.open_bundle(path, TRUSTED)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip"]


@pytest.mark.parametrize("name", ["manifest.json", "graph.onnx", "self_test/0_image"])
def test_a_zip_bomb_costs_no_more_than_the_file_that_it_pretends_to_be(
    tmp_path: Path, edge: edge_bundle.EdgeBundle, name: str
) -> None:
    bomb = made.archive(tmp_path / "b.zip", {**edge.files(), name: bytes(80 << 20)}, packed=True)
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(BundleError, match=rf"{name} in .* is longer than it may be"):
        edge_bundle.open_bundle(bomb, TRUSTED)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 20


def test_two_files_of_one_name_are_refused(tmp_path: Path, edge: edge_bundle.EdgeBundle) -> None:
    path = made.archive(tmp_path / "a.zip", edge.files())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("graph.onnx", b"another")
    with pytest.raises(BundleError, match="two files of one name"):
        edge_bundle.open_bundle(path, TRUSTED)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", noise(1), b"\0" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BundleError, match=r"is no \.zip"):
        edge_bundle.open_bundle(tmp_path / "a.zip", TRUSTED)


def test_an_archive_cut_off_or_changed_is_refused(
    tmp_path: Path, edge: edge_bundle.EdgeBundle
) -> None:
    whole = made.archive(tmp_path / "a.zip", edge.files(), packed=True).read_bytes()
    for step in range(1, 40):
        changed = bytearray(whole)
        changed[step * len(whole) // 40] ^= 0xFF
        for content in (whole[: step * len(whole) // 40], bytes(changed)):
            (tmp_path / "b.zip").write_bytes(content)
            try:
                assert edge_bundle.open_bundle(tmp_path / "b.zip", TRUSTED) == edge
            except BundleError:
                continue


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no edge bundle"):
        edge_bundle.open_bundle(tmp_path / "nowhere", TRUSTED)


def test_the_manifest_says_how_decisions_are_made(edge: edge_bundle.EdgeBundle) -> None:
    raw = json.loads(edge.signed)
    assert raw["shares"] == {"control": 0.0, "audit": 0.0, "seed": 7}
    assert raw["known"] == {"line": ["L1", "L2"], "part_number": []}
    assert raw["licences"]["weights"] == "Apache-2.0"
    assert set(raw["made_with"]) == {"processor", "python", "onnxruntime", "numpy", "pillow"}
