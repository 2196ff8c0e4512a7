from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pcb_spark.core import bundle
from pcb_spark.core.errors import BundleError

PARTS = {
    "graph.onnx": b"pixels to probability",
    "features.onnx": b"pixels to features",
    "classifier.txt": b"tree\nversion=v4\n",
}
MANIFEST: dict[str, Any] = {
    "model_version": "2026-02-27-0123456789ab",
    "feature_set": "f" * 64,
    "feature_count": 1536,
    "levels": ["layer1", "layer2"],
    "pooling": ["max"],
    "difference": True,
    "precision": "fp32",
    "precision_comparison": {},
    "trained_backbone": True,
    "backbone": {"source": "resnet50-v1-12", "sha256": "3" * 64},
    "threshold": {"value": 0.0625, "slips": 3, "defects": 400, "reason": "enough defects"},
    "metrics": {"overall roc_auc": 0.98, "forward=1 slip_rate": None},
    "training_window": {"from": "2026-01-05", "until": "2026-02-27", "images": 6664},
    "lineage": {"run_id": "20260301T000000Z-00ff00"},
    "versions": {"python": "3.11.7"},
    "created_at": "2026-03-01T00:00:00+00:00",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle as ``write`` leaves it."""
    bundle.write(tmp_path / "bundle", MANIFEST, PARTS)
    return tmp_path / "bundle"


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, **changes}), encoding="utf-8")


def test_bundle_read_is_the_bundle_written(folder: Path, tmp_path: Path) -> None:
    read = bundle.read(folder)
    assert dict(read.parts) == PARTS
    for name, value in MANIFEST.items():
        assert getattr(read.manifest, name) == value
    assert read == bundle.write(tmp_path / "again", MANIFEST, PARTS)


def test_bundle_from_before_bit_depths_used_all_16_bits(folder: Path) -> None:
    path = folder / "manifest.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    del known["bit_depth"]
    path.write_text(json.dumps(known), encoding="utf-8")
    assert bundle.read(folder).manifest.bit_depth == 16


def test_bundle_is_four_files_and_the_manifest_pins_the_others(folder: Path) -> None:
    names = ["classifier.txt", "features.onnx", "graph.onnx", "manifest.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == 1
    assert manifest["model_sha256"] == hashlib.sha256(b"pixels to probability").hexdigest()
    assert manifest["files"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in PARTS.items()
    }


def test_what_stands_beside_the_trees_is_pinned_too(tmp_path: Path) -> None:
    """Its format is one that earlier versions refuse: they would score by the trees alone."""
    written = bundle.write(tmp_path, MANIFEST, {**PARTS, "linear.json": b"{}"})

    assert written.manifest.format == 2
    assert bundle.read(tmp_path) == written
    assert written.manifest.files["linear.json"] == hashlib.sha256(b"{}").hexdigest()
    (tmp_path / "linear.json").unlink()
    with pytest.raises(BundleError, match=r"lacks linear\.json"):
        bundle.read(tmp_path)


def test_what_judges_the_image_itself_is_pinned_where_there_is_such(tmp_path: Path) -> None:
    """Earlier versions don't know its levels, and refuse the bundle: its scores need both."""
    own = {"image_classifier.txt": b"tree\nown\n", "image_linear.json": b"{}"}
    manifest = {**MANIFEST, "image_levels": ["layer2"]}
    written = bundle.write(tmp_path, manifest, {**PARTS, **own})

    assert bundle.read(tmp_path) == written
    assert json.loads((tmp_path / "manifest.json").read_bytes())["image_levels"] == ["layer2"]
    for name in own:
        (tmp_path / name).unlink()
        with pytest.raises(BundleError, match=f"lacks {name}"):
            bundle.read(tmp_path)
        (tmp_path / name).write_bytes(own[name])


def test_fields_that_say_nothing_are_not_written_so_that_earlier_versions_read_on(
    folder: Path,
) -> None:
    told = json.loads((folder / "manifest.json").read_bytes())
    assert not {"references", "known", "image_levels"} & told.keys()
    assert bundle.read(folder).manifest.told() == told


def test_the_days_of_training_are_pinned_where_they_are_told(tmp_path: Path) -> None:
    """Earlier versions may pass over them: no decision depends on them."""
    written = bundle.write(tmp_path, MANIFEST, {**PARTS, bundle.TRAINING_DAYS: b"{}"})

    assert written.manifest.format == 1
    assert bundle.read(tmp_path) == written
    (tmp_path / bundle.TRAINING_DAYS).write_bytes(b"[]")
    with pytest.raises(BundleError, match=r"training_days\.json is not the file"):
        bundle.read(tmp_path)


def test_writing_over_an_older_bundle_replaces_it(folder: Path) -> None:
    bundle.write(folder, MANIFEST, {**PARTS, "classifier.txt": b"tree\nnewer\n"})
    assert bundle.read(folder).parts["classifier.txt"] == b"tree\nnewer\n"


def test_half_written_bundle_is_none(folder: Path) -> None:
    half = {"graph.onnx": b"newer graph", "features.onnx": b"newer features"}
    with pytest.raises(KeyError, match=r"classifier\.txt"):
        bundle.write(folder, MANIFEST, half)
    with pytest.raises(BundleError, match="no model bundle"):
        bundle.read(folder)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is not the file that was trained") as caught:
        bundle.read(folder)
    assert hashlib.sha256(PARTS[name]).hexdigest() in str(caught.value)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_missing_part_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"lacks {name}"):
        bundle.read(folder)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_part_without_a_hash_is_refused(folder: Path, name: str) -> None:
    files = {n: hashlib.sha256(content).hexdigest() for n, content in PARTS.items() if n != name}
    edit_manifest(folder, files=files)
    with pytest.raises(BundleError, match=rf"{name} is not the file that was trained"):
        bundle.read(folder)


def test_folder_without_a_manifest_is_no_bundle(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"(?s)no model bundle.*manifest\.json.*train"):
        bundle.read(folder)


def test_folder_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        bundle.read(tmp_path / "nowhere")


@pytest.mark.parametrize("other", [0, 3, "1", None])
def test_other_format_is_refused(folder: Path, other: object) -> None:
    edit_manifest(folder, format=other)
    with pytest.raises(BundleError, match=r"(?s)another format.*expected: 1 or 2"):
        bundle.read(folder)


def test_manifest_that_is_no_object_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(BundleError, match="another format"):
        bundle.read(folder)


def test_unknown_field_is_refused_by_name(folder: Path) -> None:
    edit_manifest(folder, colour="green")
    with pytest.raises(BundleError, match=r"(?s)manifest\.json has other fields.*colour"):
        bundle.read(folder)


def test_missing_field_is_refused_by_name(folder: Path) -> None:
    path = folder / "manifest.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    del known["threshold"]
    path.write_text(json.dumps(known), encoding="utf-8")
    with pytest.raises(BundleError, match=r"(?s)manifest\.json has other fields.*threshold"):
        bundle.read(folder)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b""])
def test_manifest_that_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json can't be read"):
        bundle.read(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("files", None), ("files", "graph.onnx"), ("threshold", 0.5), ("difference", "yes"),
     ("levels", "layer1")],
)  # fmt: skip
def test_field_of_another_type_is_refused_by_name(folder: Path, field: str, value: object) -> None:
    edit_manifest(folder, **{field: value})
    with pytest.raises(BundleError, match=rf"manifest\.json: {field} is no "):
        bundle.read(folder)


def test_a_bundle_says_where_its_references_come_from(tmp_path: Path) -> None:
    handed = bundle.write(tmp_path / "handed", MANIFEST, PARTS)
    assert "references" not in json.loads((tmp_path / "handed/manifest.json").read_text())
    assert bundle.read(tmp_path / "handed") == handed
    own = bundle.write(tmp_path / "own", {**MANIFEST, "references": "own"}, PARTS)
    assert bundle.read(tmp_path / "own").manifest.reading == own.manifest.reading
    assert own.manifest.reading.references == "own"
    told = json.loads((tmp_path / "own/manifest.json").read_text()) | {"references": "of others"}
    (tmp_path / "own/manifest.json").write_text(json.dumps(told))
    with pytest.raises(BundleError, match=r"(?s)source of references.*handed_over or own"):
        bundle.read(tmp_path / "own")


def test_a_bundle_that_clears_nothing_new_is_none_of_an_earlier_version(tmp_path: Path) -> None:
    bundle.write(tmp_path / "all", {**MANIFEST, "known": {}}, PARTS)
    assert "known" not in json.loads((tmp_path / "all/manifest.json").read_text())
    known = {"line": ["L1"], "part_number": []}
    made = bundle.write(tmp_path / "known", {**MANIFEST, "known": known}, PARTS)
    assert bundle.read(tmp_path / "known") == made
    assert made.manifest.known == known
