"""The explain job: what the tables hold of one board becomes a page, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F

from pcb_spark.core import durable, names
from pcb_spark.core.errors import InputError, PcbSparkError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import (
    BUNDLE,
    DECISIONS,
    IMAGES,
    REGISTRY,
    SCORES,
    SHARE_CAPS,
    VERDICTS,
)  # fmt: skip
from pcb_spark.pipeline import clearing, registry
from pcb_spark.pipeline.artifacts import read_bundle
from pcb_spark.pipeline.report import read_pairs
from pcb_spark.report import board as page
from pcb_spark.report.explained import Circumstances

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

    from pcb_spark.core.bundle import Bundle
    from pcb_spark.pipeline.job import Job
    from pcb_spark.report.evidence import PairFiles

    Rows = dict[str, dict[str, Any]]

_SCHEMAS: Final[dict[str, StructType]] = {
    IMAGES: schemas.IMAGES, SCORES: schemas.SCORES, DECISIONS: schemas.DECISIONS,
    VERDICTS: schemas.VERDICTS, SHARE_CAPS: schemas.SHARE_CAPS,
}  # fmt: skip
#: Facts of an image that are shown, without its bytes.
_FACTS: Final = (
    *schemas.TRACEABILITY, names.REFERENCE_URI, names.REFERENCE_SHA256, names.CONTENT_SHA256,
    names.CAPTURE_DATE,
)  # fmt: skip
#: So many edits away, another board's name may be what was meant.
_ALIKE: Final = 3


def run_explain(job: Job, *, board: str, to: Path, as_json: bool = False) -> None:
    """Write what is known of a board to a local file.

    Raises
    ------
    InputError : no table knows the board, or the file can't be written.
    """
    found = collect(job, board)
    text = page.to_json(found) if as_json else page.render(found)
    try:
        durable.write(to, text.encode())
    except OSError as error:
        what = f"{to} can't be written"
        raise InputError(what, got=error.strerror, hint="name another file with --to") from None
    job.notes.append(f"board {board}: {len(found.flags)} images: {to}")


def collect(job: Job, board: str) -> page.Board:
    """Read all of a board off the tables.

    Raises
    ------
    InputError : no table knows it.
    """
    own = F.col(names.BOARD_ID) == board
    images = _by_id(_rows(_table(job, IMAGES).select(*_FACTS).where(own)))
    scores = _by_id(_rows(_table(job, SCORES).where(own)))
    published = _rows(_table(job, DECISIONS).where(own))
    traced = _by_id(published) | scores | images
    if not traced:
        raise _unknown(job, board)
    verdicts = _by_id(_rows(_table(job, VERDICTS).where(_one_of(names.IMAGE_ID, traced))))
    notes: list[str] = []
    models, registered = _models(job, scores.values(), published, notes)
    flags = _flags(job, traced, scores, published, verdicts, models)
    return page.Board(
        board_id=board, where=job.config.paths.out, made_at=datetime.now(UTC),
        flags=flags, models=models, registered=registered,
        pairs=_pairs(job, images, scores, models),
        notes=notes, max_pixels=job.config.ingest.max_pixels,
    )  # fmt: skip


def _flags(
    job: Job, traced: Rows, scores: Rows, published: Sequence[Mapping[str, Any]],
    verdicts: Rows, models: Mapping[str, Bundle],
) -> list[page.Flag]:  # fmt: skip
    then = _Then(job, scores.values(), models)
    ordered = sorted(traced.values(), key=lambda row: (str(row.get(names.POSITION)), row[_ID]))
    return [
        page.Flag(
            image={name: row[name] for name in _FACTS if name in row},
            score=scores.get(row[_ID]),
            published=sorted(
                (each for each in published if each[_ID] == row[_ID]),
                key=lambda each: each["published_at"],
            ),
            verdict=verdicts.get(row[_ID]),
            then=then.of(scores.get(row[_ID])),
        )
        for row in ordered
    ]


_ID: Final = names.IMAGE_ID


class _Then:
    """What held when images were decided: models, orders to stop, share caps."""

    def __init__(
        self, job: Job, scores: Iterable[Mapping[str, Any]], models: Mapping[str, Bundle]
    ) -> None:
        self._models = models
        self._orders = [_in_utc(row) for row in clearing.ordered(job)]
        dates = _one_of(names.CAPTURE_DATE, {row[names.CAPTURE_DATE] for row in scores})
        self._caps = sorted(
            _rows(_table(job, SHARE_CAPS).where(dates)), key=lambda row: row["made_at"]
        )

    def of(self, score: Mapping[str, Any] | None) -> Circumstances:
        """Of an image that was scored; of another one there is nothing to know."""
        if score is None:
            return Circumstances(manifest=None, stop=None, cap=None)
        model = self._models.get(score[names.MODEL_SHA256])
        return Circumstances(
            manifest=model.manifest if model else None,
            stop=self._stop(score),
            cap=self._cap(score),
        )

    def _stop(self, score: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The order that held: given before, or by the monitor in the same run."""
        given = [
            row
            for row in self._orders
            if row["said_at"] <= score[names.SCORED_AT]
            or row.get(names.RUN_ID) == score[names.RUN_ID]
        ]
        stops = clearing.in_force(given)
        return stops.get(None) or stops.get(score[names.LINE])

    def _cap(self, score: Mapping[str, Any]) -> Mapping[str, Any] | None:
        alike = (names.CAPTURE_DATE, names.MODEL_SHA256)
        found = [row for row in self._caps if all(row[name] == score[name] for name in alike)]
        return found[-1] if found else None


def _models(
    job: Job,
    scores: Iterable[Mapping[str, Any]],
    published: Sequence[Mapping[str, Any]],
    notes: list[str],
) -> tuple[dict[str, Bundle], dict[str, str]]:
    """The models that decided, and the registry's numbers of them.

    Each is the bundle of this output or a version of the registry; what is neither is noted.
    """
    decided = {row[names.MODEL_SHA256]: row[names.MODEL_VERSION] for row in scores}
    numbers = {row[names.MODEL_SHA256]: row[names.REGISTRY_VERSION] for row in published}
    found: dict[str, Bundle] = {}
    for sha256, version in decided.items():
        try:
            found[sha256] = _model(job, sha256, version)
        except PcbSparkError as error:
            notes.append(f"no heat maps of model {version}: {error.what}")
    return found, {sha: number for sha, number in numbers.items() if sha in decided}


def _model(job: Job, sha256: str, version: str) -> Bundle:
    if tables.exists(job.spark, job.table(BUNDLE)):
        own = read_bundle(job)
        if own.manifest.model_sha256 == sha256:
            return own
    if job.config.registry.uri or tables.exists(job.spark, job.table(REGISTRY)):
        opened = registry.open_registry(job.config)
        for each in reversed(opened.versions()):
            if each.model_version == version:
                return opened.read(each, each.bundle_sha256)
    raise InputError("it is neither the bundle of paths.out nor registered")


def _pairs(
    job: Job, images: Rows, scores: Rows, models: Mapping[str, Bundle]
) -> dict[str, PairFiles]:
    """The files of the images, with what each one's model compares them with."""
    by_model: dict[str | None, dict[str, date]] = {}
    for image_id, row in images.items():
        sha256 = scores[image_id][names.MODEL_SHA256] if image_id in scores else None
        by_model.setdefault(sha256, {})[image_id] = row[names.CAPTURE_DATE]
    found: dict[str, PairFiles] = {}
    for sha256, wanted in by_model.items():
        model = models.get(sha256 or "")
        found |= read_pairs(job, wanted, model.manifest if model else None)
    return found


def _unknown(job: Job, board: str) -> InputError:
    ids = _table(job, IMAGES).select(names.BOARD_ID).distinct()
    distance = F.levenshtein(F.col(names.BOARD_ID), F.lit(board))
    alike = ids.where(distance <= _ALIKE).orderBy(distance, names.BOARD_ID).limit(_ALIKE)
    known = ", ".join(row[0] for row in alike.collect())
    return InputError(
        f"no table in {job.config.paths.out} knows a board {board}",
        got=f"boards with names like it: {known}" if known else None,
        hint="the column board_id of images has all of them; a drop is taken in by ingest first",
    )


def _table(job: Job, name: str) -> DataFrame:
    """A table of this output; empty where there is none."""
    schema = _SCHEMAS[name]
    if not tables.exists(job.spark, job.table(name)):
        return job.spark.createDataFrame([], schema)
    return tables.read(job.spark, job.table(name), schema)


def _rows(table: DataFrame) -> list[dict[str, Any]]:
    return [_in_utc(row.asDict()) for row in table.collect()]


def _in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """Spark hands out times without a zone, in this machine's."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _by_id(rows: Iterable[dict[str, Any]]) -> Rows:
    return {row[names.IMAGE_ID]: row for row in rows}


def _one_of(name: str, values: Iterable[object]) -> Column:
    return F.col(name).isin(list(values))
