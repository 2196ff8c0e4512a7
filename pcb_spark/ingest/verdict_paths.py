"""Paths as other programs write them, led back to the files of the drop that they name.

A verdict may name its image with backslashes, below ``./``, by its absolute path on another
machine, percent-escaped, in another Unicode normal form or in another case. What the path says
literally counts first, then what it says in another spelling, and last another case; where that
leaves several files the path names none of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest.paths import image_id
from pcb_spark.ingest.verdict_form import FAULT, FAULT_REASON

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

PATH: Final = "path"
WRITTEN: Final = "written"
SPELLED: Final = "spelled"
FOLDED: Final = "folded"
_FILES: Final = "files"
_RANK: Final = "rank"
_SEVERAL: Final = "several"
_ASCII: Final = r"^[\x00-\x7f]*$"

_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:(?://[^/]*)?(?=/)")
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


def spellings(path: str, root: str) -> list[str]:
    """The paths below ``root`` that ``path`` may mean, in all their normal forms."""
    found: dict[str, None] = {}
    for text in dict.fromkeys((path, _unescaped(path))):
        for parts in _below(text.replace("\\", "/"), _parts(_SCHEME.sub("", root))):
            spelled = "/".join(parts)
            found |= dict.fromkeys(
                [spelled, *(unicodedata.normalize(form, spelled) for form in ("NFC", "NFD"))]
            )
    return [one for one in found if one]


class Files:
    """The files of a drop, found by what a row writes, on the driver; as ``correct`` does it."""

    def __init__(self, paths: Iterable[str], root: str) -> None:
        self._root = root
        self._paths = frozenset(paths)
        self._folded: dict[str, set[str]] = {}
        self._found: dict[str, list[str]] = {}
        for path in self._paths:
            self._folded.setdefault(folded(path), set()).add(path)

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, written: str) -> list[str]:
        """The files that a path may mean; one is its own, and several are none."""
        if written in self._paths:
            return [written]
        if written not in self._found:
            self._found[written] = self._find(written)
        return list(self._found[written])

    def _find(self, written: str) -> list[str]:
        readings = dict.fromkeys((written, *spellings(written, self._root)))
        same = {reading for reading in readings if reading in self._paths}
        alike = (self._folded.get(folded(reading), ()) for reading in readings)
        return sorted(same or {path for paths in alike for path in paths})


def folded(path: str) -> str:
    """The same for two paths that differ in case and normal form only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def read(manifest: DataFrame, column: str, *, root: str) -> DataFrame:
    """How the paths in ``column`` may be read: ``written``, ``spelled`` and ``folded``."""
    written = manifest.select(F.col(column).alias(WRITTEN)).where(F.col(column).isNotNull())
    return _mapped(
        written.distinct(), (WRITTEN, SPELLED, FOLDED),
        lambda path: [
            (path, one, folded(one)) for one in dict.fromkeys((path, *spellings(path, root)))
        ],
    )  # fmt: skip


def files(paths: DataFrame, column: str = PATH) -> DataFrame:
    """``image_id`` and ``path`` of files, from their paths."""
    return paths.select(image_id(F.col(column)).alias(names.IMAGE_ID), F.col(column).alias(PATH))


def unread(readings: DataFrame, files: DataFrame) -> DataFrame:
    """The readings of the paths that are no file's own."""
    literal = readings.withColumn("literal", image_id(F.col(WRITTEN)))
    kept = literal.join(files, F.col("literal") == files[names.IMAGE_ID], "left_anti")
    return kept.drop("literal")


def correct(manifest: DataFrame, column: str, readings: DataFrame, files: DataFrame) -> DataFrame:
    """Put a file's own path into ``column``; one that fits several is a fault of its row.

    Parameters
    ----------
    readings : answer of ``read``.
    files : ``image_id`` and ``path`` of each file; the id counts where both are known.
    """
    strange = unread(readings, files)
    if strange.isEmpty():
        return manifest
    found = _fitting(strange, files)
    joined = manifest.join(found, F.col(column) == F.col(WRITTEN), "left")
    corrected = joined.withColumns({
        column: F.when(F.size(_FILES) == 1, F.col(_FILES)[0]).otherwise(F.col(column)),
        _SEVERAL: F.coalesce(F.size(_FILES) > 1, F.lit(False)),
    })  # fmt: skip
    what = F.concat(
        F.lit("its image, "), F.col(WRITTEN), F.lit(", may be "),
        F.concat_ws(" or ", F.slice(F.array_sort(_FILES), 1, 3)),
    )  # fmt: skip
    return corrected.withColumns({
        FAULT_REASON: F.when(F.col(_SEVERAL), names.VERDICT_AMBIGUOUS)
        .otherwise(F.col(FAULT_REASON)),
        FAULT: F.when(F.col(_SEVERAL), what).otherwise(F.col(FAULT)),
        column: F.when(~F.col(_SEVERAL), F.col(column)),
    }).drop(WRITTEN, _FILES, _SEVERAL)  # fmt: skip


def lead_back(table: DataFrame, column: str, files: DataFrame, *, root: str) -> DataFrame:
    """Put a file's own path into ``column``; a path that fits several, or none, stays as it is."""
    strange = unread(read(table, column, root=root), files)
    if strange.isEmpty():
        return table
    one = _fitting(strange, files).where(F.size(_FILES) == 1)
    joined = table.join(one, F.col(column) == F.col(WRITTEN), "left")
    path = F.coalesce(F.col(_FILES)[0], F.col(column))
    return joined.withColumn(column, path).drop(WRITTEN, _FILES)


def correct_some(
    told: DataFrame, column: str, readings: DataFrame, some: DataFrame,
    all_files: Callable[[], DataFrame],
) -> DataFrame:  # fmt: skip
    """``correct`` for ``some`` files; whether a path fits one alone, ``all_files`` decide."""
    fitting = unread(readings, some).join(_with_folded(some), FOLDED, "left_semi")
    if fitting.isEmpty():
        return told
    files = all_files().unionByName(some).distinct()
    return correct(told, column, readings, files)


def _fitting(readings: DataFrame, files: DataFrame) -> DataFrame:
    """Which files the paths mean: those of the spelling, and where there are none, of any case."""
    ids = files.select(names.IMAGE_ID)
    spelled = readings.withColumn(names.IMAGE_ID, image_id(F.col(SPELLED))).join(
        ids, names.IMAGE_ID
    )
    same = spelled.select(WRITTEN, F.lit(1).alias(_RANK), F.col(SPELLED).alias(PATH))
    cased = readings.join(_with_folded(files), FOLDED)
    alike = cased.select(WRITTEN, F.lit(2).alias(_RANK), PATH)
    ranked = same.unionByName(alike).groupBy(WRITTEN, _RANK).agg(F.collect_set(PATH).alias(_FILES))
    return ranked.groupBy(WRITTEN).agg(F.min_by(_FILES, _RANK).alias(_FILES))


def _with_folded(files: DataFrame) -> DataFrame:
    """Add ``folded``; only names beyond ASCII need Python for it."""
    plain = F.col(PATH).rlike(_ASCII)
    beyond = _mapped(
        files.where(~plain).select(PATH), (PATH, FOLDED), lambda path: [(path, folded(path))]
    )
    return files.where(plain).select(PATH, F.lower(PATH).alias(FOLDED)).unionByName(beyond)


def _mapped(
    texts: DataFrame, names: Sequence[str], rows_of: Callable[[str], Sequence[tuple[str, ...]]]
) -> DataFrame:
    """Rows of text, in columns of these names, for each text of a column."""

    def map_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            rows = [row for text in batch.column(0).to_pylist() for row in rows_of(text)]
            if rows:
                columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, names=list(names))

    return texts.mapInArrow(map_partition, ", ".join(f"{name} string" for name in names))


def _unescaped(path: str) -> str:
    """Undo percent escapes, where they are UTF-8."""
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return path


def _parts(path: str) -> list[str]:
    """The names in a path; a ``..`` takes back the one before it."""
    found: list[str] = []
    for part in path.split("/"):
        if part == ".." and found and found[-1] != "..":
            found.pop()
        elif part not in ("", "."):
            found.append(part)
    return found


def _below(path: str, root: Sequence[str]) -> Iterator[list[str]]:
    """What of ``path`` may lie below a root: by the root's whole path, or by its folder's name.

    An absolute path of another machine leads to this drop by the folder's name; a relative one may
    begin with that, or with some of the folders above it.
    """
    stripped = _DRIVE.sub("/", _SCHEME.sub("", path))
    parts = _parts(stripped)
    below = [part.casefold() for part in parts]
    names = [part.casefold() for part in root]
    if not stripped.startswith("/"):
        yield parts
        for tail in range(1, len(names) + 1):
            if below[:tail] == names[-tail:]:
                yield parts[tail:]
    elif names and below[: len(names)] == names:
        yield parts[len(names) :]
    elif names:
        yield from (parts[n + 1 :] for n, part in enumerate(below) if part == names[-1])
