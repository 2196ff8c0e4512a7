"""Files of verdicts, manifests and sidecars: CSV, JSON lines, IPC-CFX, Parquet to plain rows.

Text is parsed here in Python, file by file, since each CSV has a header of its own. A line that
can't be read becomes a row that says so in ``FAULT``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest import cfx
from pcb_spark.ingest.paths import relative

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

#: The columns of a verdict file.
COLUMNS: Final = (
    names.IMAGE, names.REFERENCE, names.BOARD_ID, names.POSITION, names.PART_NUMBER, names.LOT,
    names.LINE, names.CAPTURED_AT,
    names.VERDICT, names.DEFECTS, names.OPERATOR_ID, names.VERIFIED_AT,
)  # fmt: skip
FILE: Final = "file"
ROW: Final = "row_number"
FAULT: Final = "fault"
NO_IMAGE_COLUMN: Final = "no column named image"
RAW: Final = ", ".join(
    [*(f"{name} string" for name in COLUMNS), f"{FILE} string", f"{ROW} long", f"{FAULT} string"]
)

Row = dict[str, str | None]


def read(spark: SparkSession, files: Sequence[tuple[str, int]]) -> DataFrame:
    """Read files by their extensions; their rows count in the order of ``files``.

    Parameters
    ----------
    files : URI and length of each; Spark doesn't open those without a byte.

    Returns
    -------
    ``COLUMNS`` as text, blanks as null; ``FILE``, ``ROW``, and ``FAULT`` where it can't be read.
    """
    whole = [(n, uri) for n, (uri, size) in enumerate(files) if size]
    tables = [(n, uri) for n, uri in whole if uri.lower().endswith(".parquet")]
    texts = [(n, uri) for n, uri in whole if (n, uri) not in tables]
    fault = f"{NO_IMAGE_COLUMN}: an empty file"
    empty = [(uri, n << 32, fault) for n, (uri, size) in enumerate(files) if not size]
    nothing = spark.createDataFrame(empty, f"{FILE} string, {ROW} long, {FAULT} string")
    found = nothing.select(
        *(F.lit(None).cast("string").alias(name) for name in COLUMNS), FILE, ROW, FAULT
    )
    if texts:
        found = found.unionByName(_read_texts(spark, texts))
    for number, uri in tables:
        found = found.unionByName(_read_parquet(spark, uri, number))
    return found


def of_sidecars(kept: DataFrame, *, root: str) -> DataFrame:
    """Rows of sidecars, in the form of ``read``; a sidecar speaks of the image it is named after.

    Parameters
    ----------
    kept : the table ``sidecars``.
    root : qualified URI of the drop.
    """
    files = kept.select(
        F.col(names.SOURCE_URI).alias(FILE), "content", F.lit(1 << 30).alias("place")
    )
    rows = files.mapInArrow(_parser(), RAW)
    named = F.regexp_replace(relative(root, FILE), r"(?i)\.json$", "")
    return rows.withColumn(names.IMAGE, named)


def parse(name: str, content: bytes) -> Iterator[Row]:
    """Parse one file; it is JSON if its name ends in .json, .jsonl or .ndjson, else CSV."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield {FAULT: f"no UTF-8: {error}"}
        return
    if name.lower().endswith((".json", ".jsonl", ".ndjson")):
        yield from _parse_json(text)
    else:
        yield from _parse_csv(text)


def _parse_csv(text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not _names_images(header):
            yield {FAULT: f"{NO_IMAGE_COLUMN}: {', '.join(header) or 'an empty file'}"}
            return
        for values in reader:
            if values:
                yield dict(zip(header, values, strict=False))
    except csv.Error as error:
        yield {FAULT: f"line {reader.line_num}: {error}"}


def _names_images(header: Iterable[str]) -> bool:
    columns = set(header)
    return names.IMAGE in columns or {names.BOARD_ID, names.POSITION} <= columns


def _parse_json(text: str) -> Iterator[Row]:
    """One value a file, an array of them, or one a line."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield from _parse_line(number, line)
        return
    for value in whole if isinstance(whole, list) else [whole]:
        yield from _from_value(value)


def _parse_line(number: int, line: str) -> Iterator[Row]:
    try:
        yield from _from_value(json.loads(line))
    except json.JSONDecodeError as error:
        yield {FAULT: f"line {number}: {error}"}


def _from_value(value: Any) -> Iterator[Row]:
    if cfx.is_message(value):
        yield from cfx.rows(value)
    elif isinstance(value, dict):
        yield {
            str(name).strip().lower(): None if text is None else str(text)
            for name, text in value.items()
        }
    else:
        yield {FAULT: f"a JSON {type(value).__name__} in place of an object"}


def _read_texts(spark: SparkSession, texts: list[tuple[int, str]]) -> DataFrame:
    order = spark.createDataFrame(texts, f"place long, {FILE} string")
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    files = reader.load([escaped(uri) for _, uri in texts]).select(
        F.col("path").alias(FILE), "content"
    )
    return files.join(order, FILE, "left").mapInArrow(_parser(), RAW)


def _parser() -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def parse_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for file in batch.to_pylist():
                first = (file["place"] or 0) << 32
                rows = [
                    [_clean(row.get(name)) for name in COLUMNS]
                    + [file[FILE], first + number, row.get(FAULT)]
                    for number, row in enumerate(parse(file[FILE], file["content"]))
                ]
                yield _batch(pa, rows)

    return parse_partition


def _batch(pa: Any, rows: list[list[Any]]) -> pa.RecordBatch:
    types = [*[pa.string()] * len(COLUMNS), pa.string(), pa.int64(), pa.string()]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[*COLUMNS, FILE, ROW, FAULT])


def _clean(text: str | None) -> str | None:
    return (text.strip() or None) if text is not None else None


def _read_parquet(spark: SparkSession, uri: str, number: int) -> DataFrame:
    raw = spark.read.parquet(escaped(uri))
    raw = raw.toDF(*(name.strip().lower() for name in raw.columns))
    names_images = _names_images(raw.columns)
    fault = None if names_images else f"{NO_IMAGE_COLUMN}: {', '.join(raw.columns)}"
    rows = raw if names_images else spark.createDataFrame([(None,)], f"{names.IMAGE} string")
    return rows.select(
        *(text_column(rows, name).alias(name) for name in COLUMNS),
        F.lit(uri).alias(FILE),
        (F.lit(number << 32) + F.monotonically_increasing_id() % (1 << 32)).alias(ROW),
        F.lit(fault).cast("string").alias(FAULT),
    )


def text_column(raw: DataFrame, name: str) -> Column:
    """A column as trimmed text, blanks as null; null for one that isn't there."""
    if name not in raw.columns:
        return F.lit(None).cast("string")
    column = F.col(f"`{name}`")
    if dict(raw.dtypes)[name] == "timestamp":
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX")
    trimmed = F.trim(column.cast("string"))
    return F.when(trimmed != "", trimmed)


def escaped(uri: str) -> str:
    """Return a path that Spark's readers take for a path, whatever stands in it, not for a glob."""
    return "".join(f"\\{c}" if c in "{}[]*?\\" else c for c in uri)
