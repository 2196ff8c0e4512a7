"""A model bundle: one folder with all that scoring needs, every file pinned by its hash.

    manifest.json     versions, hashes, feature set, threshold and the evidence for it, lineage
    graph.onnx        pixels to probability, fused: what Spark, edge and service run
    features.onnx     pixels to features
    classifier.txt    LightGBM's own text format
    linear.json       the logistic regression beside its trees; not in bundles of earlier versions
    image_classifier.txt, image_linear.json
                      the same of what judges the image by itself; not in all
    training_days.json  what they were like; nights are held against them. Not in all

Nothing is pickled. Hashes are checked before anything is parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from pcb_spark.core import names, registration
from pcb_spark.core.errors import BundleError
from pcb_spark.core.pairs import Reading

#: What is written: 2 where there is a ``linear.json``, which earlier versions would pass over.
FORMATS = (1, 2)
MANIFEST = "manifest.json"
GRAPH = "graph.onnx"
FEATURES = "features.onnx"
CLASSIFIER = "classifier.txt"
LINEAR = "linear.json"
IMAGE_CLASSIFIER = "image_classifier.txt"
IMAGE_LINEAR = "image_linear.json"
TRAINING_DAYS = "training_days.json"
PARTS = (GRAPH, FEATURES, CLASSIFIER)
#: What was fitted, apart from the graph that it is part of; not all bundles have all.
FITTED = (CLASSIFIER, LINEAR, IMAGE_CLASSIFIER, IMAGE_LINEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of itself.

    ``model_sha256`` is the hash of ``graph.onnx``. ``threshold`` is
    ``thresholds.Thresholds.evidence``; ``precision_comparison`` holds ``precision.Comparison``
    where int8 was put to the test; ``metrics`` the pooled and fold figures at training time.
    ``lineage.classifier`` is what the trees were fitted with. ``difference``,
    ``max_offset``, ``alignment``, ``bit_depth`` and ``references`` are the ``reading``. ``known``
    are the values of ``policy.KNOWN`` that it was trained on, empty where what is new may be
    cleared. ``image_levels`` are those by which the image itself is judged beside a difference.
    """

    format: int
    model_version: str
    model_sha256: str
    feature_set: str
    feature_count: int
    levels: list[str]
    pooling: list[str]
    difference: bool
    precision: str
    precision_comparison: dict[str, Any]
    trained_backbone: bool
    backbone: dict[str, str]
    threshold: dict[str, Any]
    metrics: dict[str, float | None]
    training_window: dict[str, Any]
    lineage: dict[str, Any]
    versions: dict[str, str]
    created_at: str
    files: dict[str, str]
    max_offset: float = 0.0
    alignment: str = registration.FILL
    bit_depth: int = 16
    references: str = names.HANDED_OVER
    known: dict[str, Any] = field(default_factory=dict)
    image_levels: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Give what its JSON holds.

        Fields that earlier versions don't know are left out where they say nothing; where they
        count, those versions are to refuse the bundle.
        """
        found = asdict(self)
        silent = {"references": names.HANDED_OVER, "known": {}, "image_levels": []}
        return {name: value for name, value in found.items()
                if name not in silent or value != silent[name]}  # fmt: skip

    @property
    def reading(self) -> Reading:
        """How its model has pairs of files read."""
        return Reading(**{each.name: getattr(self, each.name) for each in fields(Reading)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle in memory."""

    manifest: Manifest
    parts: Mapping[str, bytes]


def sha256(content: bytes) -> str:
    """Return the hex digest of ``content``."""
    return hashlib.sha256(content).hexdigest()


def identity(folder: Path) -> str:
    """The hash of a bundle as a whole: of its manifest, which holds those of all its files."""
    return sha256((folder / MANIFEST).read_bytes())


def write(folder: Path, manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> Bundle:
    """Write a bundle; the manifest goes last, so that a half-written folder is no bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    optional = {*FITTED, TRAINING_DAYS} - {*PARTS}
    wanted = [*PARTS, *sorted(optional & parts.keys())]
    for name in wanted:
        (folder / name).write_bytes(parts[name])
    files = {name: sha256(parts[name]) for name in wanted}
    own = {"format": 2 if LINEAR in parts else 1, "model_sha256": files[GRAPH], "files": files}
    complete = Manifest(**{**manifest, **own})
    text = json.dumps(complete.told(), indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return Bundle(manifest=complete, parts=dict(parts))


def read(folder: Path, *, where: str = "") -> Bundle:
    """Read a bundle and check every hash.

    Parameters
    ----------
    where : what messages call the folder, for the copy of a bundle that is elsewhere.

    Raises
    ------
    BundleError : no bundle, a missing part, a hash that differs, a format of another version.
    """
    where = where or str(folder)
    manifest = _read_manifest(folder, where)
    wanted = [*PARTS, *([LINEAR] if manifest.format > 1 else [])]
    wanted += [IMAGE_CLASSIFIER] if manifest.image_levels else []
    wanted += [name for name in (IMAGE_LINEAR, TRAINING_DAYS) if name in manifest.files]
    parts = {name: _read_part(folder, where, name, manifest.files.get(name)) for name in wanted}
    return Bundle(manifest=manifest, parts=parts)


def _read_manifest(folder: Path, where: str) -> Manifest:
    hint = "run `pcb-spark train` first, or name the bundle's folder"
    try:
        raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"no model bundle in {where}"
        raise BundleError(what, expected=f"a file {MANIFEST}", hint=hint) from None
    except (OSError, ValueError) as error:
        what = f"{where}/{MANIFEST} can't be read"
        raise BundleError(what, got=error, hint=hint) from None
    return manifest_of(raw, where)


def manifest_of(raw: object, where: str) -> Manifest:
    """Check what was read of a manifest's JSON.

    Raises
    ------
    BundleError : it is of another version, or its fields are none of a manifest.
    """
    if not isinstance(raw, dict) or raw.get("format") not in FORMATS:
        what = f"{where} is a bundle of another format"
        got = raw.get("format") if isinstance(raw, dict) else "no object"
        raise BundleError(
            what,
            expected=" or ".join(map(str, FORMATS)),
            got=got,
            hint="train it again with this version",
        )
    try:
        manifest = Manifest(**raw)
    except TypeError as error:
        what = f"{where}/{MANIFEST} has other fields than this version knows"
        raise BundleError(what, got=error, hint="train it again with this version") from None
    _check_types(manifest, where)
    return manifest


def _check_types(manifest: Manifest, where: str) -> None:
    for name, hint in get_type_hints(Manifest).items():
        kind = get_origin(hint) or hint
        value = getattr(manifest, name)
        if not isinstance(value, kind):
            what = f"{where}/{MANIFEST}: {name} is no {kind.__name__}"
            raise BundleError(what, got=repr(value), hint="copy the whole folder again")
    _require_known("alignment", manifest.alignment, registration.ALIGNMENTS, where)
    _require_known("source of references", manifest.references, names.REFERENCE_SOURCES, where)


def _require_known(what: str, got: str, known: Sequence[str], where: str) -> None:
    if got not in known:
        raise BundleError(
            f"{where}/{MANIFEST}: this version doesn't know the {what}",
            expected=" or ".join(known),
            got=got,
            hint="score with the version that trained it, or train it again with this one",
        )


def _read_part(folder: Path, where: str, name: str, expected: str | None) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        what = f"{where} lacks {name}"
        raise BundleError(what, got=error.strerror, hint="copy the whole folder again") from None
    if sha256(content) != expected:
        what = f"{where}/{name} is not the file that was trained"
        raise BundleError(
            what, expected=f"sha256 {expected}", got=sha256(content), hint="copy it again"
        )
    return content
