"""The decisions job: what nights published goes to the AOI and the MES, a file a board.

A date's files lie in a folder of their own, whose list is written last. The folder is written
beside its place and moved there, so that a date is there as a whole or not yet; one that holds the
same already stays as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F

from pcb_spark.core import durable, names, policy
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import SCORES
from pcb_spark.pipeline import decisions
from pcb_spark.review import decided

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from pcb_spark.pipeline.job import Job

#: In each folder, with the hash of each of its files: a folder with it is whole.
LIST: Final = "night.json"
_GOES_TO: Final = "goes_to"
_DECIDED_AT: Final = "decided_at"


def run_decisions(job: Job, *, to: Path, form: str, day: date | None = None) -> None:
    """Write the decisions that count of a capture date, of all that the last night touched if None.

    Parameters
    ----------
    form : one of ``decided.FORMS``.

    Raises
    ------
    InputError : no night published anything of it, or ``to`` can't be written.
    """
    dates = [day] if day else _dates(job)
    for each in dates:
        rows = _counting(job, each)
        boards = [row[0] for row in rows.select(names.BOARD_ID).distinct().collect()]
        if not boards:
            raise InputError(
                f"no night has published decisions of {each} in {job.config.paths.out}",
                hint=f"pcb-spark nightly --date {each} scores and publishes it",
            )
        if not rows.where(F.col(names.CAPTURED_AT).isNull()).isEmpty():
            raise InputError(
                f"scores of {each} are gone, and with them where each image is from",
                hint="prune took them; a folder that was written before stays as it is",
            )
        folder = to / form / each.isoformat()
        flags = _flags(rows)
        try:
            same = _place(folder, _files(flags, boards, form), each)
        except OSError as error:
            what = f"{folder} can't be written"
            hint = "name another folder with --to"
            raise InputError(what, got=error.strerror, hint=hint) from None
        how = "as they were" if same else "written"
        job.notes.append(f"decisions of {each}, {len(boards)} boards, {how}: {folder}")


def _dates(job: Job) -> list[date]:
    """The capture dates of the night that published last.

    Raises
    ------
    InputError : none has.
    """
    own = decisions.read(job).where(F.col(names.RUN_ID) == F.lit(decisions.last_run(job)))
    found = sorted(row[0] for row in own.select(names.CAPTURE_DATE).distinct().collect())
    if not found:
        what = f"no night has published anything in {job.config.paths.out}"
        raise InputError(what, hint="pcb-spark nightly scores and publishes")
    return found


def _counting(job: Job, day: date) -> DataFrame:
    """The last decision of each image, with where the image is from; ordered by board."""
    own = decisions.read(job).where(F.col(names.CAPTURE_DATE) == F.lit(day))
    last = decisions.latest(own)
    traced = _scores(job).where(F.col(names.CAPTURE_DATE) == F.lit(day))
    where = [n for n in schemas.TRACEABILITY if n not in last.columns]
    cleared = (F.col(names.DECISION) == policy.PASS) & F.col(names.REVIEW).isNull()
    rows = last.join(traced.select(names.IMAGE_ID, *where), names.IMAGE_ID, "left")
    return rows.select(
        *schemas.TRACEABILITY,
        F.when(cleared, decided.CLEARED).otherwise(decided.OPERATOR).alias(_GOES_TO),
        F.col("published_at").alias(_DECIDED_AT),
        names.MODEL_VERSION,
    ).orderBy(names.BOARD_ID, names.LINE, names.POSITION, names.IMAGE_ID)


def _scores(job: Job) -> DataFrame:
    if not tables.exists(job.spark, job.table(SCORES)):
        return job.spark.createDataFrame([], schemas.SCORES)
    return tables.read(job.spark, job.table(SCORES), schemas.SCORES)


def _flags(rows: DataFrame) -> Iterator[decided.Flag]:
    for row in rows.toLocalIterator():
        yield decided.Flag(**_in_utc(row))


def _in_utc(row: Row) -> dict[str, Any]:
    """Spark hands out times without a zone, in this machine's."""
    told = row.asDict()
    moments = {name: told[name] for name in (names.CAPTURED_AT, _DECIDED_AT)}
    return told | {n: moment and moment.astimezone(UTC) for n, moment in moments.items()}


def _files(
    flags: Iterator[decided.Flag], boards: list[str], form: str
) -> Iterator[tuple[str, bytes]]:
    called, how = decided.file_names(boards), decided.FORMS[form]
    for board, group in groupby(flags, key=lambda flag: flag.board_id):
        yield f"{called[board]}{how.suffix}", how.write(board, [*group])


def _place(folder: Path, files: Iterator[tuple[str, bytes]], day: date) -> bool:
    """Write a date's folder as a whole; whether it held the same already."""
    beside = folder.with_name(f".{folder.name}.part")
    aside = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    hashes = {}
    for name, content in files:
        (beside / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    told = {names.CAPTURE_DATE: day.isoformat(), "files": hashes}
    durable.write(beside / LIST, (json.dumps(told, indent=2, sort_keys=True) + "\n").encode())
    same = _is_same(folder, beside)
    if same:
        shutil.rmtree(beside)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(aside)
        beside.rename(folder)
        durable.sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)
    return same


def _is_same(folder: Path, beside: Path) -> bool:
    """Whether a folder has these files, and nothing was done to them."""
    wanted = {path.name: path.read_bytes() for path in beside.iterdir()}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != wanted.keys():
        return False
    return all((folder / name).read_bytes() == content for name, content in wanted.items())
