"""An edge bundle: what a machine at the plant decides with, and how it knows that it may.

::

    manifest.json             what the model is, how it decides, and the hash of every other file
    manifest.json.minisig     the plant's signature of the manifest
    graph.onnx                pixels to probability
    heat.json, classifier.txt, linear.json    what heat maps need besides
    self_test/                a few images, and references, with the scores that they have to get
    goldens/                  the golden images of the line's own boards, named by their hash; in
                              bundles of models that compare with these

One folder or one .zip. Nothing of it is parsed before the signature fits, and no part before its
hash does: ``open_bundle`` reads the manifest's bytes, checks who signed them, and only then reads
the files that they name, each as long as they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from pcb_spark.core import archives, bundle, signatures
from pcb_spark.core.drops import Habits
from pcb_spark.core.errors import BundleError
from pcb_spark.core.golden_book import GoldenBook, Goldens, file_of
from pcb_spark.core.review import Shares
from pcb_spark.core.share_cap import ShareCap

#: What is written: 2 where there is a share cap, which earlier versions would pass over.
FORMATS: Final = (1, 2)
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = MANIFEST + signatures.SUFFIX
SELF_TEST: Final = "self_test"

_MOST_MANIFEST: Final = 16 << 20  # a list of all part numbers is part of it
_MOST_ALTOGETHER: Final = 2 << 30
_NEWER: Final = "export it again with this version"


class Pin(NamedTuple):
    """What a manifest says of a file: its hash, and its length in bytes."""

    sha256: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The image of a self-test, and what it has to get.

    Attributes
    ----------
    image, reference : files of the bundle; a model that doesn't compare has no reference.
    line, part_number : of its traceability, by which thresholds may differ.
    probability : as ``float.hex`` writes it, so that not one bit may differ.
    decision : ``pass`` or ``fail``.
    """

    image: str
    reference: str | None
    line: str | None
    part_number: str | None
    probability: str
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeManifest:
    """What an edge bundle says of itself.

    Attributes
    ----------
    created_at : when it was exported; a machine takes none that is older than its own.
    model : the manifest of the model bundle that it was made of.
    shares : of control boards and audit, and the seed of their draws.
    known : the values of each traceability column that the model was trained on.
    habits : how the plant lays out its drops.
    share_cap : the newest one of the model, if nights have one; it lowers thresholds.
    goldens : the golden images of the line's own boards, for a model that compares with them.
    licences : of weights and program.
    made_with : processor and versions of the machine that computed the self-test.
    """

    created_at: datetime
    model: bundle.Manifest
    shares: Shares
    known: Mapping[str, frozenset[str]]
    licences: Mapping[str, str]
    made_with: Mapping[str, str]
    self_test: tuple[Known, ...]
    habits: Habits = field(default_factory=Habits)
    share_cap: ShareCap | None = None
    goldens: Goldens | None = None

    def to_json(self, parts: Mapping[str, bytes]) -> str:
        """Give the manifest's text, with the hash and length of each part."""
        files = {
            name: {"sha256": bundle.sha256(content), "bytes": len(content)}
            for name, content in sorted(parts.items())
        }
        about = {
            **{name: getattr(self, name) for name in ("licences", "made_with")},
            "format": 1 if self.share_cap is None else 2,
            "created_at": self.created_at.isoformat(),
            "model": self.model.told(),
            "shares": asdict(self.shares),
            "known": {name: sorted(values) for name, values in self.known.items()},
            "habits": self.habits.to_json(),
            "self_test": [asdict(each) for each in self.self_test],
            "files": files,
        }
        if self.share_cap is not None:
            about["share_cap"] = asdict(self.share_cap)
        if self.goldens is not None:
            about["goldens"] = self.goldens.to_json()
        return json.dumps(about, indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBundle:
    """A verified edge bundle in memory.

    Attributes
    ----------
    signed : the manifest's own bytes, and ``signature`` the file beside it.
    comment : what the signature vouches for besides.
    """

    manifest: EdgeManifest
    parts: Mapping[str, bytes]
    signed: bytes
    signature: bytes
    comment: str

    @property
    def model(self) -> bundle.Bundle:
        """What a ``Scorer`` is made of."""
        return bundle.Bundle(manifest=self.manifest.model, parts=self.parts)

    @property
    def golden_book(self) -> GoldenBook | None:
        """What finds its golden images; None where it came without."""
        told, reading = self.manifest.goldens, self.manifest.model.reading
        if told is None or not reading.is_own:
            return None
        return GoldenBook(told, self.parts)

    def files(self) -> dict[str, bytes]:
        """Give every file of the folder, the manifest last: without it there is no bundle."""
        return {**self.parts, SIGNATURE: self.signature, MANIFEST: self.signed}


def open_bundle(path: Path, trusted: Sequence[signatures.PublicKey]) -> EdgeBundle:
    """Open a folder or a .zip, and check all of it.

    Raises
    ------
    BundleError : no bundle, not signed by a trusted key, a part that is missing or was changed, or
        a format of another version.
    """
    files = archives.opened(path)
    signed = files.read(MANIFEST, _MOST_MANIFEST)
    signature = files.read(SIGNATURE, signatures.MOST_BYTES)
    where = f"{path}/{MANIFEST}"
    comment = signatures.verify(signed, signature, trusted, where=where)
    manifest, pinned = _read_manifest(signed, where)
    parts = {name: _read_part(files, name, pin, where=path) for name, pin in pinned.items()}
    return EdgeBundle(
        manifest=manifest, parts=parts, signed=signed, signature=signature, comment=comment
    )


def sealed(
    manifest: EdgeManifest, parts: Mapping[str, bytes], key: signatures.SecretKey
) -> EdgeBundle:
    """Make an edge bundle of its parts, and sign it."""
    signed = manifest.to_json(parts).encode()
    comment = f"edge bundle of model {manifest.model.model_version}, {manifest.created_at}"
    return EdgeBundle(
        manifest=manifest,
        parts=parts,
        signed=signed,
        signature=key.sign(signed, comment).encode(),
        comment=comment,
    )


def _read_manifest(signed: bytes, where: str) -> tuple[EdgeManifest, dict[str, Pin]]:
    """The manifest, and what it says of each file."""
    try:
        raw = json.loads(signed)
        if raw["format"] not in FORMATS:
            what, expected = f"{where} is of another format", " or ".join(map(str, FORMATS))
            raise BundleError(what, expected=expected, got=raw["format"], hint=_NEWER)
        manifest = EdgeManifest(
            created_at=datetime.fromisoformat(raw["created_at"]),
            model=bundle.manifest_of(raw["model"], where),
            shares=Shares(**raw["shares"]),
            known={name: frozenset(values) for name, values in raw["known"].items()},
            habits=Habits.from_json(raw["habits"]),
            licences=raw["licences"],
            made_with=raw["made_with"],
            self_test=tuple(Known(**each) for each in raw["self_test"]),
            share_cap=_share_cap(raw.get("share_cap")),
            goldens=Goldens.from_json(raw["goldens"]) if "goldens" in raw else None,
        )
        files = {name: Pin(str(pin["sha256"]), int(pin["bytes"]))
                 for name, pin in raw["files"].items()}  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"{where} has other fields than this version knows"
        raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=_NEWER) from None
    _check(manifest, files, where)
    return manifest, files


def _share_cap(raw: object) -> ShareCap | None:
    return None if raw is None else ShareCap.from_json(json.dumps(raw))


def _check(manifest: EdgeManifest, files: Mapping[str, Pin], where: str) -> None:
    """Refuse a manifest that names what isn't there, or what may lie elsewhere."""
    named = [each.image for each in manifest.self_test]
    named += [each.reference for each in manifest.self_test if each.reference is not None]
    named += [file_of(each.sha256) for each in (manifest.goldens.own if manifest.goldens else ())]
    missing = sorted({bundle.GRAPH, *named} - set(files))
    strange = sorted(name for name in files if not archives.is_plain(name))
    own = files[bundle.GRAPH].sha256 if bundle.GRAPH in files else None
    lengths = [pin.length for pin in files.values()]
    cap_of = (
        manifest.model.model_sha256
        if manifest.share_cap is None
        else (manifest.share_cap.model_sha256)
    )
    fits = sum(lengths) <= _MOST_ALTOGETHER and min(lengths, default=0) >= 0
    faults = {
        f"{where} pins no file {missing[:1]}": bool(missing),
        f"{where} names a file that may lie elsewhere: {strange[:1]}": bool(strange),
        f"{where}: the model is of another {bundle.GRAPH}": own != manifest.model.model_sha256,
        f"{where}: the share cap is of another model": cap_of != manifest.model.model_sha256,
        f"{where}: there is no image to test it with": not manifest.self_test,
        f"{where}: its files are larger than a bundle may be": not fits,
    }
    for what, is_so in faults.items():
        if is_so:
            raise BundleError(what, hint=_NEWER)


def _read_part(files: archives.Files, name: str, pin: Pin, *, where: Path) -> bytes:
    content = files.read(name, pin.length)
    found = bundle.sha256(content)
    if found != pin.sha256:
        what = f"{where}/{name} is not the file that was signed for"
        expected = f"sha256 {pin.sha256}"
        raise BundleError(what, expected=expected, got=found, hint="copy the whole bundle again")
    return content
