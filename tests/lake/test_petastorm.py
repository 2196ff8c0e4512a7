from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pcb_spark.lake import image_table, schemas, unischema
from tests import drops

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

#: Position, mode and file format of what each camera sends; 7 images a camera, over two days.
CAMERAS = (("P1", "L", "JPEG"), ("P2", "RGB", "JPEG"), ("P3", "RGB", "PNG"), ("P4", "L", "TIFF"))
EACH = 7

pytestmark = [
    # petastorm turns pandas' times into numpy's, which have no zone; all are UTC.
    pytest.mark.filterwarnings("ignore:parsing timezone aware datetimes:DeprecationWarning"),
    # make_batch_reader decodes nothing, which is what it is used for here.
    pytest.mark.filterwarnings("ignore:Please use make_reader:UserWarning"),
]


def noise(seed: int, mode: str, file_format: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, file_format)
    return file.getvalue()


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The camera's files by board, which is the first part of their names."""
    return {
        f"{position}-{number}": noise(number, mode, file_format)
        for position, mode, file_format in CAMERAS
        for number in range(EACH)
    }


@pytest.fixture(scope="module")
def images(
    spark: SparkSession, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The table that ingest makes of them; every image of P3 has a reference."""
    folder = tmp_path_factory.mktemp("petastorm")
    layout: dict[str, bytes | str] = {"references/P3.jpg": files["P1-0"]}
    lines = ["image,reference"]
    for board, content in files.items():
        number = int(board[-1])
        path = f"images/date=2026-01-0{5 + number % 2}/{board}_{board[:2]}.png"
        layout[path] = content
        lines.append(f"{path},{'references/P3.jpg' if board[:2] == 'P3' else ''}")
    layout["verdicts.csv"] = "\n".join(lines)
    drop = drops.write(folder / "drop", layout)
    assert drops.ingest(spark, drop, folder / "out").rows_out == len(files)
    return folder / "out" / "images"


def test_make_reader_gives_every_row_with_its_pixels(images: Path, files: dict[str, bytes]) -> None:
    from petastorm import make_reader

    with make_reader(images.as_uri(), reader_pool_type="dummy", num_epochs=1) as reader:
        rows = list(reader)
    assert len(rows) == len(CAMERAS) * EACH
    assert {row.board_id for row in rows} == set(files)
    for row in rows:
        np.testing.assert_array_equal(row.image, by_pillow(files[row.board_id]), str(row.board_id))
        assert (row.height, row.width) == (24, 40)
        assert row.capture_date == f"2026-01-0{5 + int(row.board_id[-1]) % 2}"
        if row.position == "P3":
            np.testing.assert_array_equal(row.reference, by_pillow(files["P1-0"]))
        else:
            assert row.reference is None


def test_make_reader_reads_chosen_columns(images: Path) -> None:
    from petastorm import make_reader

    columns = ["image_id", "captured_at"]
    with make_reader(
        images.as_uri(), reader_pool_type="dummy", num_epochs=1, schema_fields=columns
    ) as reader:
        rows = list(reader)
    assert len(rows) == len(CAMERAS) * EACH
    assert set(rows[0]._fields) == set(columns)
    days = {np.datetime64(row.captured_at, "D") for row in rows}
    assert days == {np.datetime64("2026-01-05"), np.datetime64("2026-01-06")}


def test_make_batch_reader_gives_the_cameras_bytes(images: Path, files: dict[str, bytes]) -> None:
    from petastorm import make_batch_reader

    found: dict[str, bytes] = {}
    with make_batch_reader(images.as_uri(), reader_pool_type="dummy", num_epochs=1) as reader:
        for batch in reader:
            found.update(zip(batch.board_id, batch.image, strict=True))
    assert found == files


def test_spark_gives_the_cameras_bytes(
    spark: SparkSession, images: Path, files: dict[str, bytes]
) -> None:
    rows = spark.read.parquet(str(images)).select("board_id", "image").collect()
    assert {row["board_id"]: bytes(row["image"]) for row in rows} == files
    assert len(rows) == len(files)


def test_unischema_and_spark_schema_have_the_same_columns() -> None:
    view = unischema.images_unischema()
    assert set(view.fields) == set(schemas.IMAGES.names)
    for field in schemas.IMAGES.fields:
        assert view.fields[field.name].nullable is field.nullable


def test_row_groups_are_sized_for_a_reader(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from petastorm import make_reader

    monkeypatch.setitem(image_table.ROW_GROUPS, "parquet.block.size", str(1 << 20))
    row = one_image(spark).collect()[0].asDict()
    noise_bytes = np.random.default_rng(1).bytes
    rows = [row | {"image_id": f"i{n}", "image": noise_bytes(100_000)} for n in range(40)]
    heavy = spark.createDataFrame(
        [tuple(each[name] for name in schemas.IMAGES.names) for each in rows], schemas.IMAGES
    )
    uri = tmp_path / "images"
    image_table.ImageStore(spark, str(tmp_path)).add(heavy)
    sizes = [group.total_byte_size for file in uri.rglob("*.parquet") for group in row_groups(file)]
    assert len(sizes) >= 3
    assert max(sizes) < 2 << 20
    columns = ["image_id"]
    with make_reader(
        uri.as_uri(), reader_pool_type="dummy", num_epochs=1, schema_fields=columns
    ) as reader:
        assert len({row.image_id for row in reader}) == 40


def row_groups(file: Path) -> list[Any]:
    metadata = pq.ParquetFile(file).metadata
    return [metadata.row_group(number) for number in range(metadata.num_row_groups)]


def one_image(spark: SparkSession) -> Any:
    moment = datetime(2026, 1, 5, 6, tzinfo=UTC)
    row = (
        "id", "file:/a.png", "L1", None, "b1", None, None, moment, drops.picture(), None, None,
        None, 20, 16, "sha", moment.date(),
    )  # fmt: skip
    return spark.createDataFrame([row], schemas.IMAGES)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("memory://bucket/images", "'validate_schema' is not yet supported"),
        ("wasb://tables@host/images", "Protocol not known: wasb"),
    ],
    ids=["any store of fsspec", "wasb"],
)
def test_petastorm_reads_no_store_so_that_readme_says_to_copy(
    spark: SparkSession, tmp_path: Path, uri: str, said: str
) -> None:
    from petastorm import make_reader

    image_table.ImageStore(spark, str(tmp_path)).add(one_image(spark))
    store = fsspec.filesystem("memory")
    store.put(f"{tmp_path}/images", "/bucket/", recursive=True)
    with pytest.raises(ValueError, match=said):
        make_reader(uri, reader_pool_type="dummy")
    store.get("/bucket/images", f"{tmp_path}/copy", recursive=True)
    with make_reader(f"file://{tmp_path}/copy", reader_pool_type="dummy") as reader:
        assert [row.image_id for row in reader] == ["id"]
    store.rm("/bucket", recursive=True)
