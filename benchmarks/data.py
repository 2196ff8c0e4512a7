"""What is measured on: a camera drop, made into ``images`` tables of the sizes that are asked."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.demo import camera_drop
from pcb_spark.lake import folders, schemas, tables
from pcb_spark.lake.catalogue import IMAGES
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.network.backbone import UNTRAINED
from pcb_spark.pipeline import config
from pcb_spark.pipeline.job import Job

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pcb_spark.pipeline.config import Config

T = TypeVar("T")

_SHARED = Path("../shared")
#: Days that images are taken from: enough for a fold, few enough for files of a usual size.
_DAYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A camera drop (None: rendered) and the weights to run on it."""

    drop: Path | None
    weights: str

    @property
    def described(self) -> str:
        """Which images and weights these are, without their place on this machine."""
        images = self.drop.name if self.drop else "rendered images"
        return f"{images}, weights {Path(self.weights).name}"

    @property
    def overrides(self) -> list[str]:
        """The configuration that uses these weights."""
        return [f"backbone.weights='{self.weights}'"]


def find(drop: Path | None, weights: str | None) -> Source:
    """Fill in what isn't named: the data beside the checkout, else rendered and untrained."""
    beside = _SHARED / "data" / "deeppcb"
    file = _SHARED / "weights" / "resnet50_imagenet.onnx"
    return Source(
        drop=drop or (beside if beside.is_dir() else None),
        weights=weights or (str(file) if file.is_file() else UNTRAINED),
    )


def configure(out: Path, source: Source, *overrides: str) -> Config:
    """Return the configuration of a run on this machine whose tables are in ``out``."""
    own = [f"paths.out='{out}'", *source.overrides, *overrides]
    return config.load(folders.conf_folder() / "local.toml", own)


def sample_drop(source: Source, folder: Path, n: int) -> int:
    """Copy a drop of ``n`` images with their references and verdicts, and return its bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    if source.drop is None:
        camera_drop.render_drop(folder, images=n, seed=0)
    else:
        _copy_rows(source.drop, folder, n)
    pictures = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv")
    return sum(path.stat().st_size for path in pictures)


def _copy_rows(drop: Path, folder: Path, n: int) -> None:
    with (drop / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = _of_some_days(rows, n)
    for name in {row[key] for row in kept for key in ("image", "reference") if row.get(key)}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(drop / name, folder / name)
    with (folder / "verdicts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(kept)


def _of_some_days(rows: Sequence[dict[str, str]], n: int) -> list[dict[str, str]]:
    """Take ``n`` rows, evenly from days that lie evenly in time."""
    by_day: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        day = row["captured_at"][:10] if row.get("captured_at") else Path(row["image"]).parent.name
        by_day.setdefault(day, []).append(row)
    days = _evenly(sorted(by_day), _DAYS)
    return [row for day in days for row in _evenly(by_day[day], math.ceil(n / len(days)))][:n]


def _evenly(values: Sequence[T], count: int) -> Sequence[T]:
    return values[:: max(1, len(values) // count)][:count]


def images(spark: SparkSession, folder: Path) -> DataFrame:
    """Read the ``images`` table in ``folder``."""
    return tables.read(spark, str(folder / IMAGES), schemas.IMAGES)


def alike(df: DataFrame) -> DataFrame:
    """Leave out images without a reference where others have one: nothing could score them."""
    paired = df.where(F.col(names.REFERENCE).isNotNull())
    return df if paired.isEmpty() else paired


def write(df: DataFrame, folder: Path) -> Path:
    """Write ``df`` as ingest writes the ``images`` table, and return ``folder``."""
    shutil.rmtree(folder / IMAGES, ignore_errors=True)
    ImageStore(df.sparkSession, str(folder)).add(df)
    return folder


def resized(df: DataFrame, n: int) -> DataFrame:
    """Take ``n`` rows, again and again under new ids if there are fewer.

    A copy has a reference of its own: its bytes end in the number of the copy, which no decoder
    reads, so that what shares references can't gain by the copies.
    """
    copies = math.ceil(n / df.count())
    number = F.explode(F.sequence(F.lit(0), F.lit(copies - 1)))
    many = df.withColumn("copy", number).orderBy("copy", names.CAPTURED_AT, names.IMAGE_ID).limit(n)
    return _with_own_reference(many, F.col("copy").cast("string")).drop("copy").withColumn(
        names.IMAGE_ID, F.concat(names.IMAGE_ID, F.lit("-"), F.monotonically_increasing_id())
    )  # fmt: skip


def _with_own_reference(df: DataFrame, mark: Column) -> DataFrame:
    return df.withColumns({
        names.REFERENCE: F.concat(names.REFERENCE, mark.cast("binary")),
        names.REFERENCE_SHA256: F.sha2(F.concat(names.REFERENCE, mark.cast("binary")), 256),
    })  # fmt: skip


def unshared(df: DataFrame) -> DataFrame:
    """Give every image a reference of its own, with the same picture in it."""
    return _with_own_reference(df, F.col(names.IMAGE_ID))


def one_reference(df: DataFrame) -> DataFrame:
    """Give all images the same reference."""
    first = df.where(F.col(names.REFERENCE).isNotNull()).orderBy(names.IMAGE_ID).first()
    if first is None:
        return df
    return df.withColumns({
        names.REFERENCE: F.lit(bytes(first[names.REFERENCE])),
        names.REFERENCE_SHA256: F.lit(first[names.REFERENCE_SHA256]),
    })  # fmt: skip


def camera_sized(df: DataFrame, *, megapixels: int, distinct: int) -> DataFrame:
    """Put JPEGs of so many megapixels, in colour, in the place of images and references."""
    rng = np.random.default_rng(0)
    files = [_camera_file(rng, megapixels) for _ in range(distinct)]
    spark = df.sparkSession
    pictures = spark.createDataFrame(list(enumerate(files)), "kind int, big binary")
    kind = F.pmod(F.xxhash64(names.IMAGE_ID), F.lit(distinct)).cast("int")
    big = df.withColumn("kind", kind).join(F.broadcast(pictures), "kind")
    placed = big.withColumns({names.IMAGE: F.col("big"), names.REFERENCE: F.col("big")})
    return _with_own_reference(placed, F.col(names.IMAGE_ID)).select(schemas.IMAGES.names)


def _camera_file(rng: np.random.Generator, megapixels: int) -> bytes:
    """Coarse structure under fine noise: about as many bytes a pixel as a photograph has."""
    width = round(math.sqrt(megapixels * 1e6 * 4 / 3))
    size = (width, width * 3 // 4)
    coarse = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    noise = rng.integers(-6, 7, picture.shape, dtype=np.int16)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=90)
    return file.getvalue()


def job_in(spark: SparkSession, folder: Path, source: Source, *overrides: str) -> Job:
    """Return a job of the project whose tables are in ``folder``."""
    config = configure(folder, source, *overrides)
    return Job(spark=spark, config=config, run_id=f"bench-{folder.name}")


def linked(folder: Path, parts: Sequence[tuple[str, Path]]) -> Path:
    """Make ``folder`` afresh with links to tables that are elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, target in parts:
        (folder / name).symlink_to(target.resolve())
    return folder
