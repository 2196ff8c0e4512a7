"""The export job: the model bundle becomes an edge bundle, a folder or a .zip, signed.

What is written is opened again as an edge machine opens it, and has to pass its own self-test, so
that a bundle that is refused at the plant never leaves here. One of a registered version is kept
with that version besides, for edge machines that ask the registry.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from pcb_spark.core import (
    bundle,
    decisions,
    durable,
    edge_bundle,
    golden_book,
    heatmaps,
    machine,
    names,
    self_test,
    signatures,
    validity,
)
from pcb_spark.core.drops import Habits
from pcb_spark.core.errors import BundleError, InputError
from pcb_spark.core.scorer import Scorer
from pcb_spark.golden import choosing, places
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import IMAGES
from pcb_spark.network import pooled
from pcb_spark.network.pretrained import SOURCES
from pcb_spark.pipeline import approval, references, share_caps
from pcb_spark.pipeline.artifacts import read_bundle
from pcb_spark.pipeline.job import refuse_untrained
from pcb_spark.pipeline.registry import CHAMPION, EDGE_BUNDLE, open_registry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from pcb_spark.core.bundle import Bundle
    from pcb_spark.core.share_cap import ShareCap
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.registry import Registry, Version

_TESTED: Final = 6  # images of the self-test
_CANDIDATES: Final = 48  # of which some may be unscorable
_SMALL: Final = 4_000_000  # pixels; larger images are taken where there are no others
_SEEN: Final = (names.LINE, names.PART_NUMBER)
_LICENCE: Final = "Apache-2.0"
_NOT_STATED: Final = "not stated"
_ARCHIVE: Final = ".zip"
#: Zip knows no time before.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The model bundle that is exported, and the registered version that it is, if it is one."""

    model: Bundle
    versions: Registry | None = None
    version: Version | None = None

    def keep(self, to: Path) -> str:
        """Keep an archive with its version; what to tell of it."""
        if self.versions is None or self.version is None or to.suffix != _ARCHIVE:
            return ""
        self.versions.attach(self.version, to)
        return f", and with version {self.version.number} as {EDGE_BUNDLE}"


def run_export(
    job: Job,
    *,
    to: Path,
    key: Path,
    weights_licence: str | None = None,
    version: str | None = None,
) -> edge_bundle.EdgeBundle:
    """Write the edge bundle of a model to ``to``, signed with ``key``.

    Parameters
    ----------
    to : a path on this machine; one that ends in ``.zip`` becomes an archive.
    weights_licence : of weights that are a file of the user's own.
    version : of the registry, by number or alias; None is the bundle of this output.

    Raises
    ------
    InputError : ``to`` is there already, no usable key, no such version, no image for the
        self-test.
    ApprovalError : the champion is asked for, and nobody promoted it.
    BundleError : no model bundle, or what was written doesn't pass its own test.
    """
    if to.exists():
        raise InputError(f"{to} is there already", hint="name another place, or remove it")
    secret = signatures.read_secret(key)
    source = _source(job, version)
    model = source.model
    refuse_untrained(job.config, "the model bundle", trained=model.manifest.trained_backbone)
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    cap = _share_cap(job, model)
    seen = references.seen(job, images, model.manifest.reading)
    known, files = _self_test(seen, Scorer(model, cap=cap))
    own, pictures = _goldens(job, model)
    manifest = edge_bundle.EdgeManifest(
        created_at=job.started_at,
        model=model.manifest,
        shares=job.config.shares,
        known=_known(images, model),
        habits=_habits(job),
        licences={"weights": weights_licence or _licence(model), "program": _LICENCE},
        made_with=machine.describe(),
        self_test=known,
        share_cap=cap,
        goldens=own,
    )
    shown = {**_explaining(model), **files, **pictures}
    parts = {bundle.GRAPH: model.parts[bundle.GRAPH], **shown}
    edge = edge_bundle.sealed(manifest, parts, secret)
    _write(to, edge)
    _check(to, secret.public)
    what = f"edge bundle of model {model.manifest.model_version}, signed with {secret.public.name}"
    capped = f", share cap of the night {cap.night}" if cap else ""
    brought = "" if own is None else f", {len(own.own)} golden images"
    job.notes.append(f"{what}{capped}{brought}: {to}{source.keep(to)}")
    return edge


def _explaining(model: Bundle) -> dict[str, bytes]:
    """What heat maps need besides the graph."""
    own = {name: model.parts[name] for name in bundle.FITTED if name in model.parts}
    return {heatmaps.HEAT: heatmaps.to_json(pooled.of_bundle(model)), **own}


def _share_cap(job: Job, model: Bundle) -> ShareCap | None:
    """The cap that a night would decide today's images by."""
    if not job.config.policy.share_cap:
        return None
    return share_caps.of_day(job, model.manifest, _today(job))


def _today(job: Job) -> date:
    return job.started_at.astimezone(ZoneInfo(job.config.ingest.timezone)).date()


def _goldens(job: Job, model: Bundle) -> tuple[golden_book.Goldens | None, dict[str, bytes]]:
    """The golden images that are good from today on, and their files."""
    if not model.manifest.reading.is_own:
        return None, {}
    rule = job.config.golden
    found = choosing.good_from(references.goldens(job), _today(job)).collect()
    told = golden_book.Goldens(
        own=tuple(_own(row) for row in found),
        by_line=rule.by_line,
        most_misfit=choosing.most_misfit(rule),
    )
    files = {golden_book.file_of(row[names.REFERENCE_SHA256]): bytes(row[names.REFERENCE])
             for row in found}  # fmt: skip
    return told, files


def _own(row: Row) -> golden_book.Own:
    shared = (validity.VALID_FROM, validity.VALID_UNTIL, *places.COLUMNS)
    return golden_book.Own(
        sha256=row[names.REFERENCE_SHA256], **{name: row[name] for name in shared}
    )


def _source(job: Job, version: str | None) -> _Source:
    if version is None:
        return _Source(model=read_bundle(job))
    versions = open_registry(job.config)
    if version == CHAMPION:
        champion = approval.champion(job, versions)
        return _Source(model=champion.bundle, versions=versions, version=champion.version)
    found = versions.require(version)
    model = versions.read(found, found.bundle_sha256)
    return _Source(model=model, versions=versions, version=found)


def _self_test(
    images: DataFrame, scorer: Scorer
) -> tuple[tuple[edge_bundle.Known, ...], dict[str, bytes]]:
    """Choose images by a hash, small ones first, and score them as an edge machine does."""
    difference = scorer.manifest.difference
    known: list[edge_bundle.Known] = []
    files: dict[str, bytes] = {}
    for row in _candidates(images, difference=difference):
        if len(known) == _TESTED:
            break
        image, reference = _files(row, len(known), difference=difference)
        traceability = {name: row[name] for name in _SEEN}
        score = scorer.score(*image.values(), *reference.values(), traceability=traceability)
        if score.probability is None:
            continue
        files |= image | reference
        known.append(
            edge_bundle.Known(
                image=next(iter(image)),
                reference=next(iter(reference), None),
                probability=self_test.written(score.probability),
                decision=score.decision,
                **traceability,
            )
        )
    if not known:
        what = "no image can be scored, so the bundle can't be tested where it arrives"
        raise InputError(what, hint="ingest images of the kind that the model was trained on")
    return tuple(known), files


def _candidates(images: DataFrame, *, difference: bool) -> list[Row]:
    """Rows of images, without reading the files of the others."""
    usable = images.where(F.col(names.REFERENCE_URI).isNotNull()) if difference else images
    large = F.col(names.WIDTH) * F.col(names.HEIGHT) > _SMALL
    ranked = usable.select(names.IMAGE_ID, names.CAPTURE_DATE).orderBy(
        large, F.sha2(names.IMAGE_ID, 256)
    )
    chosen = [tuple(row) for row in ranked.limit(_CANDIDATES).collect()]
    found = images.where(
        F.col(names.CAPTURE_DATE).isin({day for _, day in chosen})
        & F.col(names.IMAGE_ID).isin([image_id for image_id, _ in chosen])
    )
    columns = (names.IMAGE_ID, names.IMAGE, names.REFERENCE, *_SEEN)
    rows = {row[names.IMAGE_ID]: row for row in found.select(*columns).collect()}
    return [rows[image_id] for image_id, _ in chosen]


def _files(row: Row, number: int, *, difference: bool) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The image and its reference, by their names in the bundle."""
    image = {f"{edge_bundle.SELF_TEST}/{number}_image": bytes(row[names.IMAGE])}
    if not difference or row[names.REFERENCE] is None:
        return image, {}
    return image, {f"{edge_bundle.SELF_TEST}/{number}_reference": bytes(row[names.REFERENCE])}


def _known(images: DataFrame, model: Bundle) -> dict[str, frozenset[str]]:
    """The lines and parts of the days that the model was trained on."""
    window = model.manifest.training_window
    if window:
        days = F.col(names.CAPTURE_DATE).between(F.lit(window["from"]), F.lit(window["until"]))
        images = images.where(days)
    found = images.agg(*(F.collect_set(name).alias(name) for name in _SEEN)).first()
    return {name: frozenset(found[name] if found else ()) for name in _SEEN}


def _habits(job: Job) -> Habits:
    """What the configuration of ingest says of drops."""
    told = job.config.ingest
    return Habits(**{each.name: getattr(told, each.name) for each in fields(Habits)})


def _licence(model: Bundle) -> str:
    """Of the weights; of a file that nobody pinned, nobody has said."""
    if not model.manifest.trained_backbone:
        return "none: untrained"
    pinned = {source.sha256: f"{source.licence} ({source.name})" for source in SOURCES.values()}
    return pinned.get(model.manifest.backbone.get("sha256", ""), _NOT_STATED)


def _write(to: Path, edge: edge_bundle.EdgeBundle) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.suffix == _ARCHIVE:
            durable.write(to, _zipped(edge.files()))
        else:
            durable.write_folder(to, edge.files())
    except OSError as error:
        what = f"the edge bundle can't be written to {to}"
        raise InputError(what, got=error.strerror, hint="name another place with --to") from None


def _zipped(files: dict[str, bytes]) -> bytes:
    """An archive that only depends on its files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
    return buffer.getvalue()


def _check(to: Path, trusted: signatures.PublicKey) -> None:
    """Open what was written as an edge machine does."""
    edge = edge_bundle.open_bundle(to, [trusted])
    wrong = self_test.differences(edge, decisions.scorer_of(edge))
    if wrong:
        what = f"the edge bundle {to} doesn't pass its own self-test"
        raise BundleError(what, got=wrong[0], hint="keep it and report it: that is a fault here")
