"""How good the data are: rows of the ``metrics`` table about images, verdicts and references.

``facts`` makes one slim row an image; everything else is counted from those. Scopes are a struct of
kind and value, see ``lake.scopes``; names and meanings are in
docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import images, measures, names
from pcb_spark.core.errors import ImageError
from pcb_spark.lake import arrow, schemas, scopes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

HASH: Final = "difference_hash"
SHARPNESS: Final = "sharpness"
BRIGHTNESS: Final = "brightness"
CLIPPED: Final = "clipped"
DARKEST: Final = "darkest"
BRIGHTEST: Final = "brightest"
FORMAT: Final = "format"
#: What is carried of an image beside its measures.
_KEPT: Final = (
    names.IMAGE_ID, names.LINE, names.LOT, names.BOARD_ID, names.POSITION, names.PART_NUMBER,
    names.CAPTURED_AT, names.CAPTURE_DATE, names.WIDTH, names.HEIGHT, names.CONTENT_SHA256,
    names.REFERENCE_SHA256,
)  # fmt: skip
_MEASURED: Final = (
    t.StructField(SHARPNESS, t.DoubleType()),
    t.StructField(BRIGHTNESS, t.DoubleType()),
    t.StructField(CLIPPED, t.DoubleType()),
    t.StructField(DARKEST, t.DoubleType()),
    t.StructField(BRIGHTEST, t.DoubleType()),
    t.StructField(FORMAT, t.StringType()),
    t.StructField(HASH, t.ArrayType(t.LongType())),
)
#: Share of the grey levels that a line's images use, but for one image in a hundred at either end.
RANGE_USED: Final = "range_used"
_LAG: Final = "lag_hours"
_SCOPE: Final = "scope"
#: |z| from which a measure is an outlier (Iglewicz and Hoaglin, 1993), and what makes the median
#: absolute deviation the standard deviation of a normal distribution.
_OUTLYING: Final = 3.5
_MAD_TO_SIGMA: Final = 1.4826


def facts(
    images: DataFrame,
    verdicts: DataFrame,
    *,
    max_pixels: int,
    bit_depth: int = images.FULL_DEPTH,
) -> DataFrame:
    """One row an image: traceability, verdict, measures (null where it can't be decoded)."""

    def measure(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        yield *(row[name] for name in _KEPT), *_measure(row[names.IMAGE], max_pixels, bit_depth)

    kept = [images.schema[name] for name in _KEPT]
    wanted = images.select(*_KEPT, names.IMAGE)
    measured = arrow.map_rows(wanted, measure, t.StructType([*kept, *_MEASURED]))
    known = verdicts.select(names.IMAGE_ID, names.VERDICT, names.VERIFIED_AT)
    lag = (F.col(names.VERIFIED_AT).cast("double") - F.col(names.CAPTURED_AT).cast("double")) / 3600
    return measured.join(known, names.IMAGE_ID, "left").withColumn(_LAG, lag)


def _measure(content: bytes, max_pixels: int, bit_depth: int) -> tuple[Any, ...]:
    """Values in the order of ``_MEASURED``."""
    try:
        decoded = images.decode(content, max_pixels=max_pixels, bit_depth=bit_depth)
        kind = images.inspect(content, max_pixels=max_pixels, bit_depth=bit_depth).format
    except ImageError:
        return (None,) * len(_MEASURED)
    found = measures.measure(decoded)
    colour = "grey" if images.is_grey(decoded) else "colour"
    words = measures.difference_hash(decoded).tolist()
    levels = found.sharpness, found.brightness, found.clipped, found.darkest, found.brightest
    return *levels, f"{kind} {colour}", words


def counts(found: DataFrame) -> DataFrame:
    """Images, references, verdicts and their lag, of all and by day, line and lot."""
    by = F.array(
        _scope(F.lit(scopes.OVERALL.kind), F.lit(None)),
        *(_scope(F.lit(kind), F.col(name)) for kind, name in _COUNTED_BY),
    )
    known = F.filter(
        by,
        lambda each: (
            (each[schemas.SCOPE_KIND] == scopes.OVERALL.kind)
            | each[schemas.SCOPE_VALUE].isNotNull()
        ),
    )
    exploded = found.withColumn(_SCOPE, F.explode(known))
    verdict = F.col(names.VERDICT)
    is_fail = (verdict == names.VERDICT_FAIL).cast("double")
    values: dict[str, Column] = {
        "images": F.count("*"),
        "boards": F.countDistinct(names.BOARD_ID),
        "duplicates": F.count("*") - F.countDistinct(names.CONTENT_SHA256),
        "undecodable": F.count("*") - F.count(SHARPNESS),
        "reference_missing_share": F.avg(F.col(names.REFERENCE_SHA256).isNull().cast("double")),
        "verified_share": F.avg(verdict.isNotNull().cast("double")),
        "fail_share": F.avg(is_fail),
        "verdict_lag_hours_median": F.percentile_approx(_LAG, 0.5, 10_000),
        "verdict_lag_hours_p95": F.percentile_approx(_LAG, 0.95, 10_000),
    }
    # of how many images each is, where not of all
    of = {"fail_share": F.count(names.VERDICT)} | dict.fromkeys(
        ("verdict_lag_hours_median", "verdict_lag_hours_p95"), F.count(_LAG)
    )
    grouped = exploded.groupBy(_SCOPE).agg(
        *(value.cast("double").alias(name) for name, value in values.items()),
        *(of.get(name, F.count("*")).alias(f"n_{name}") for name in values),
    )
    return _rows(grouped, *values)


_COUNTED_BY: Final = (
    (scopes.DAY, names.CAPTURE_DATE), (names.LINE, names.LINE), (names.LOT, names.LOT)
)  # fmt: skip


def outliers(found: DataFrame) -> DataFrame:
    """Blurred and badly exposed images by line, by robust z of what its camera usually delivers.

    Beside them is how much of the grey levels the line uses: 12 bits in files of 16 use a 16th.

    z is (x - median) / (1.4826 x median absolute deviation), of the logarithm of sharpness and of
    brightness, within a line and position, since parts differ by nature.
    """
    camera = Window.partitionBy(names.LINE, names.POSITION)
    usable = found.where(F.col(SHARPNESS).isNotNull())
    blur, light = F.log(F.col(SHARPNESS) + 1), F.col(BRIGHTNESS)
    judged = usable.withColumns({"blur": blur, "light": light})
    for name in ("blur", "light"):
        deviation = F.abs(F.col(name) - F.col(f"{name}_median"))
        judged = judged.withColumn(
            f"{name}_median", F.expr(f"percentile({name}, 0.5)").over(camera)
        )
        judged = judged.withColumn(f"{name}_deviation", deviation)
        mad = F.expr(f"percentile({name}_deviation, 0.5)").over(camera)
        z = (F.col(name) - F.col(f"{name}_median")) / (mad * _MAD_TO_SIGMA)
        judged = judged.withColumn(f"{name}_z", F.when(mad > 0, z))
    brightest, darkest = F.percentile_approx(BRIGHTEST, 0.99), F.percentile_approx(DARKEST, 0.01)
    line = _scope(F.lit(names.LINE), F.coalesce(names.LINE, F.lit("unknown")))
    values = {
        "sharpness_median": F.percentile_approx(SHARPNESS, 0.5, 10_000),
        "brightness_median": F.percentile_approx(BRIGHTNESS, 0.5, 10_000),
        "clipped_share": F.avg(CLIPPED),
        RANGE_USED: (brightest - darkest) / 255,
        "blurred": F.count(F.when(F.col("blur_z") < -_OUTLYING, 1)),
        "exposure_outliers": F.count(F.when(F.abs("light_z") > _OUTLYING, 1)),
    }
    grouped = judged.withColumn(_SCOPE, line).groupBy(_SCOPE).agg(
        *(value.cast("double").alias(name) for name, value in values.items()),
        *(F.count("*").alias(f"n_{name}") for name in values),
    )  # fmt: skip
    return _rows(grouped, *values)


def drift(found: DataFrame) -> DataFrame:
    """What a day has that no day before it had: image sizes, formats, filled or emptied columns.

    Rows of ``first_day``: scope (``size``, 224x160) or (``empty``, line), the day as 20260106, and
    how many images it was on that day; what the very first day has is nothing new.
    """
    columns = (names.LINE, names.LOT, names.POSITION, names.PART_NUMBER, names.REFERENCE_SHA256)
    traits = F.array(
        _scope(F.lit(scopes.SIZE), F.format_string("%dx%d", names.WIDTH, names.HEIGHT)),
        _scope(F.lit(scopes.FORMAT), F.col(FORMAT)),
        *(
            _scope(F.when(F.col(name).isNull(), scopes.EMPTY).otherwise(scopes.FILLED), F.lit(name))
            for name in columns
        ),
    )
    each = found.select(names.CAPTURE_DATE, F.explode(traits).alias(_SCOPE)).where(
        f"{_SCOPE}.{schemas.SCOPE_VALUE} is not null"
    )
    daily = each.groupBy(_SCOPE, names.CAPTURE_DATE).agg(F.count("*").alias("n"))
    first = F.min(names.CAPTURE_DATE)
    start = found.agg(first.alias("start"))
    news = daily.withColumn("first", first.over(Window.partitionBy(_SCOPE)))
    fresh = news.crossJoin(F.broadcast(start)).where(
        (F.col(names.CAPTURE_DATE) == F.col("first")) & (F.col("first") > F.col("start"))
    )
    day = F.date_format("first", "yyyyMMdd").cast("double")
    return fresh.select(
        f"{_SCOPE}.*", F.lit(scopes.FIRST_DAY).alias("metric"), day.alias("value"), F.col("n")
    )


def schema_drift(stored: t.StructType, expected: t.StructType) -> list[tuple[scopes.Scope, str]]:
    """Name columns of a table that aren't as they should be.

    Returns
    -------
    (scope, metric): ``missing`` or ``unexpected`` of the column ``width``, or ``type_differs`` of
    ``width bigint``, as it is.
    """
    has = {field.name: field.dataType.simpleString() for field in stored.fields}
    wants = {field.name: field.dataType.simpleString() for field in expected.fields}
    return [
        *((scopes.Scope(scopes.COLUMN, name), "missing") for name in wants if name not in has),
        *((scopes.Scope(scopes.COLUMN, name), "unexpected") for name in has if name not in wants),
        *(
            (scopes.Scope(scopes.COLUMN, f"{name} {has[name]}"), "type_differs")
            for name in wants
            if name in has and has[name] != wants[name]
        ),
    ]


def _scope(kind: Column, value: Column) -> Column:
    return F.struct(kind.alias(schemas.SCOPE_KIND), value.cast("string").alias(schemas.SCOPE_VALUE))


def _rows(grouped: DataFrame, *metrics: str) -> DataFrame:
    """One column a metric to one row a metric: (scope_kind, scope_value, metric, value, n)."""
    each = F.array(
        *(
            F.struct(
                F.lit(name).alias("metric"), F.col(name).alias("value"),
                F.col(f"n_{name}").alias("n"),
            )
            for name in metrics
        )
    )  # fmt: skip
    return grouped.select(_SCOPE, F.explode(each).alias("row")).select(f"{_SCOPE}.*", "row.*")
