"""Files of verdicts, manifests and sidecars: CSV, JSON lines, IPC-CFX, Parquet to plain rows.

Each is read here in Python, file by file, since each has columns of its own. What can't be read
becomes a row that says so in ``FAULT``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest import verdict_csv, verdict_json, verdict_parquet
from pcb_spark.ingest.paths import relative
from pcb_spark.ingest.verdict_encoding import UnreadableTextError, decode
from pcb_spark.ingest.verdict_form import FAULT, NO_IMAGE_COLUMN, TEXTS, Form, Row, unreadable
from pcb_spark.lake import filesystem

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

FILE: Final = "file"
ROW: Final = "row_number"
_LAST: Final = 1 << 30
_UNSEEN: Final = r"[\s\u200b-\u200f\u2060\ufeff]+"
_AROUND: Final = re.compile(rf"^{_UNSEEN}|{_UNSEEN}$")
RAW: Final = ", ".join([*(f"{name} string" for name in TEXTS), f"{FILE} string", f"{ROW} long"])


def read(
    spark: SparkSession, files: Sequence[tuple[str, int]], form: Form | None = None
) -> DataFrame:
    """Read files by their extensions; their rows count in the order of ``files``.

    Parameters
    ----------
    files : URI and length of each; Spark doesn't open those without a byte.
    form : how this plant writes them.

    Returns
    -------
    ``TEXTS`` as text, blanks as null, with ``FAULT`` where a row can't be used; ``FILE``, ``ROW``.
    """
    fault = f"{NO_IMAGE_COLUMN}: an empty file"
    empty = [(uri, n << 32, fault) for n, (uri, size) in enumerate(files) if not size]
    nothing = spark.createDataFrame(empty, f"{FILE} string, {ROW} long, {FAULT} string")
    others = (F.lit(None).cast("string").alias(name) for name in TEXTS if name != FAULT)
    found = nothing.select(*others, FILE, ROW, FAULT)
    whole = [(n, uri) for n, (uri, size) in enumerate(files) if size]
    return found.unionByName(_read_whole(spark, whole, form or Form())) if whole else found


def of_sidecars(kept: DataFrame, *, root: str, form: Form | None = None) -> DataFrame:
    """Rows of sidecars, in the form of ``read``; a sidecar speaks of the image it is named after.

    Parameters
    ----------
    kept : the table ``sidecars``.
    root : qualified URI of the drop.
    """
    files = kept.select(F.col(names.SOURCE_URI).alias(FILE), "content")
    rows = files.mapInArrow(_parser(form or Form(), {}), RAW)
    named = F.regexp_replace(relative(root, FILE), r"(?i)\.json$", "")
    return rows.withColumn(names.IMAGE, named)


def parse(name: str, content: bytes, form: Form | None = None) -> Iterator[Row]:
    """Parse one file; its name ends in .parquet, or in .json, .jsonl or .ndjson; else it is CSV."""
    form = form or Form()
    is_json = name.lower().endswith((".json", ".jsonl", ".ndjson"))
    if name.lower().endswith(".parquet"):
        return verdict_parquet.parse(content, form)
    try:
        text = decode(content, form.encoding, is_json=is_json)
    except UnreadableTextError as error:
        return iter([unreadable(str(error))])
    return verdict_json.parse(text, form) if is_json else verdict_csv.parse(text, form)


def _read_whole(spark: SparkSession, files: list[tuple[int, str]], form: Form) -> DataFrame:
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    reader = reader.options(**filesystem.NO_CHECKSUMS)
    contents = reader.load([escaped(uri) for _, uri in files]).select(
        F.col("path").alias(FILE), "content"
    )
    return contents.mapInArrow(_parser(form, {uri: n for n, uri in files}), RAW)


def _parser(
    form: Form, places: Mapping[str, int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def parse_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for file in batch.to_pylist():
                first = _place(file[FILE], places) << 32
                rows = [
                    [*(clean(row.get(name)) for name in TEXTS), file[FILE], first + number]
                    for number, row in enumerate(parse(file[FILE], file["content"], form))
                ]
                yield _batch(pa, rows)

    return parse_partition


def _place(uri: str, places: Mapping[str, int]) -> int:
    """The place of a file, or of the folder that was named for it; sidecars come last."""
    while uri:
        if uri in places:
            return places[uri]
        uri = uri.rpartition("/")[0]
    return _LAST


def _batch(pa: Any, rows: list[list[Any]]) -> pa.RecordBatch:
    types = [*[pa.string()] * len(TEXTS), pa.string(), pa.int64()]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[*TEXTS, FILE, ROW])


def clean(text: str | None) -> str | None:
    """A value without blanks around it, and what can't be seen; nothing where that is all."""
    return (_AROUND.sub("", text) or None) if text is not None else None


def escaped(uri: str) -> str:
    """Return a path that Spark's readers take for a path, whatever stands in it, not for a glob."""
    return "".join(f"\\{c}" if c in "{}[]*?\\" else c for c in uri)
