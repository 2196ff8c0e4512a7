"""Whatever goes in: a row in the rejects, or one clear error with its exit code."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark import cli
from tests import drops, graphs
from tests.pipeline.commands import DAY, HEADER, command, error, in_a_process_of_its_own

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# All but one run in this session; cli.main leaves it running.
pytestmark = pytest.mark.usefixtures("spark")

Reject = tuple[str, str, str | None]


def png_bomb(side: int) -> bytes:
    """A black PNG of ``side`` x ``side`` px, one bit each: 400 million px in 50 KB."""
    deflate = zlib.compressobj()
    row = bytes(1 + side // 8)
    rows = b"".join([*(deflate.compress(row) for _ in range(side)), deflate.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    )


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a drop with everything that may be wrong with a file or a verdict."""
    folder = tmp_path_factory.mktemp("mixed")
    jpeg = drops.picture(file_format="JPEG")
    drop = drops.write(
        folder / "drop",
        {
            f"{DAY}/empty_P1.jpg": b"",
            f"{DAY}/text_P1.png": "this is no picture",
            f"{DAY}/cut_P1.jpg": jpeg[: len(jpeg) // 2],
            f"{DAY}/bomb_P1.png": png_bomb(20_000),
            f"{DAY}/unjudged_P1.png": drops.picture(1),
            f"{DAY}/disputed_P1.png": drops.picture(2),
            f"{DAY}/lonely_P1.png": drops.picture(3),
            f"{DAY}/hopeless_P1.png": drops.picture(4),
            f"{DAY}/good_P1.png": drops.picture(5),
            "images/undated_P1.png": drops.picture(6),
            "references/good.png": drops.picture(7),
            "references/hopeless.png": b"",
            "verdicts.csv": HEADER
            + f"{DAY}/good_P1.png,references/good.png,,pass,\n"
            + f"{DAY}/lonely_P1.png,references/gone.png,,pass,\n"
            + f"{DAY}/hopeless_P1.png,references/hopeless.png,,fail,\n"
            + f"{DAY}/gone_P1.png,,,pass,\n"
            + f"{DAY}/cut_P1.jpg,,,fail,\n"
            + f"{DAY}/disputed_P1.png,,,pass,2026-01-05T12:00:00Z\n"
            + f"{DAY}/disputed_P1.png,,,fail,2026-01-05T12:00:00Z\n",
        },
    )
    out = folder / "out"
    assert cli.main(command("ingest", out, drop=drop)) == 0
    return out


@pytest.fixture(scope="module")
def rejected(spark: SparkSession, ingested: Path) -> dict[str, list[Reject]]:
    """Kind, reason and detail of the rejects of each file, by its name."""
    found: dict[str, list[Reject]] = {}
    columns = "source_uri", "kind", "reason", "detail"
    for uri, *reject in drops.rows(spark, ingested, "rejects", *columns):
        found.setdefault(uri.rpartition("/")[2], []).append((reject[0], reject[1], reject[2]))
    return found


@pytest.fixture(scope="module")
def accepted(spark: SparkSession, ingested: Path) -> dict[str, tuple[str | None, bool]]:
    """Verdict, and whether there is a reference, of each image of the table, by its board."""
    images = spark.read.parquet(str(ingested / "images"))
    judged = spark.read.parquet(str(ingested / "verdicts")).select("image_id", "verdict")
    joined = images.join(judged, "image_id", "left")
    rows = joined.selectExpr("board_id", "verdict", "reference is not null").collect()
    return {board: (verdict, reference) for board, verdict, reference in rows}


def test_zero_byte_file(rejected: dict[str, list[Reject]]) -> None:
    assert rejected["empty_P1.jpg"] == [("image", "empty_file", "the file has no bytes")]


def test_text_file_named_png(rejected: dict[str, list[Reject]]) -> None:
    ((kind, reason, detail),) = rejected["text_P1.png"]
    assert (kind, reason) == ("image", "not_an_image")
    assert "begins with b'this is '" in str(detail)


def test_truncated_jpeg(rejected: dict[str, list[Reject]]) -> None:
    image, verdict = rejected["cut_P1.jpg"]
    assert image[:2] == ("image", "truncated_image")
    assert verdict == (
        "verdict", "verdict_without_image", "its image was rejected: truncated_image",
    )  # fmt: skip


def test_decompression_bomb(rejected: dict[str, list[Reject]]) -> None:
    ((kind, reason, detail),) = rejected["bomb_P1.png"]
    assert (kind, reason) == ("image", "too_many_pixels")
    assert "400000000 pixels" in str(detail)


def test_image_without_verdict_waits_for_it(
    accepted: dict[str, tuple[str | None, bool]], rejected: dict[str, list[Reject]]
) -> None:
    assert accepted["unjudged"] == (None, False)
    assert "unjudged_P1.png" not in rejected


def test_verdict_without_image(rejected: dict[str, list[Reject]]) -> None:
    assert rejected["gone_P1.png"] == [
        ("verdict", "verdict_without_image", "no such file in the drop")
    ]


def test_duplicate_verdicts_that_disagree(
    accepted: dict[str, tuple[str | None, bool]], rejected: dict[str, list[Reject]]
) -> None:
    assert accepted["disputed"] == (None, False)
    assert rejected["disputed_P1.png"] == [
        ("verdict", "verdict_conflict", "one of several: fail"),
        ("verdict", "verdict_conflict", "one of several: pass"),
    ]


def test_missing_reference(
    accepted: dict[str, tuple[str | None, bool]], rejected: dict[str, list[Reject]]
) -> None:
    assert accepted["lonely"] == ("pass", False)
    assert rejected["gone.png"] == [("reference", "reference_missing", "no such file in the drop")]


def test_zero_byte_reference(
    accepted: dict[str, tuple[str | None, bool]], rejected: dict[str, list[Reject]]
) -> None:
    assert accepted["hopeless"] == ("fail", False)
    assert rejected["hopeless.png"] == [
        ("reference", "reference_unusable", "empty_file: the file has no bytes")
    ]


def test_image_without_a_time(rejected: dict[str, list[Reject]]) -> None:
    ((kind, reason, _),) = rejected["undated_P1.png"]
    assert (kind, reason) == ("image", "capture_time_missing")


def test_no_row_gets_lost(spark: SparkSession, ingested: Path) -> None:
    assert drops.rows(spark, ingested, "runs", "kind", "rows_in", "rows_out", "rows_rejected") == [
        ("image", 10, 5, 5),
        ("verdict", 7, 3, 4),
    ]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (graphs.mlp().SerializeToString(), "BackboneError: {path} is no ResNet-50\n"),
        (b"<!DOCTYPE html><title>Sign in</title>",
         "BackboneError: the weights {path} aren't an ONNX model"),
    ],
)  # fmt: skip
def test_weights_that_are_no_resnet50(
    ingested: Path, tmp_path: Path, weights: bytes, message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = drops.write(tmp_path, {"weights.onnx": weights}) / "weights.onnx"
    assert cli.main(command("featurize", ingested, f"backbone.weights='{path}'")) == 5
    assert error(capsys.readouterr().err).startswith(message.format(path=path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "InputError: no images in file:{drop}\n"),
        ({"verdicts.csv": HEADER}, "InputError: no images in file:{drop}\n"),
        ({f"{DAY}/b1_P1.png": b""},
         "InputError: none of the 1 images of the drop can be used\n"),
        ({f"{DAY}/b1_P1.png": drops.picture(), "verdicts.csv": ""},
         "InputError: the verdict file file:{drop}/verdicts.csv has no column named image\n"),
    ],
)  # fmt: skip
def test_drop_that_cannot_be_used(
    tmp_path: Path, files: dict[str, bytes | str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    drop = drops.write(tmp_path / "drop", files)
    drop.mkdir(exist_ok=True)
    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 4
    assert error(capsys.readouterr().err).startswith(message.format(drop=drop))


def test_drop_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = "/no/such/folder"
    assert cli.main(command("ingest", tmp_path / "out", drop=place)) == 4
    assert error(capsys.readouterr().err).startswith(f"InputError: the drop {place} can't be read")


def test_store_that_nothing_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = "nosuchstore://host/drop"
    assert cli.main(command("ingest", tmp_path / "out", drop=place)) == 2
    assert error(capsys.readouterr().err).startswith("ConfigError: paths.drop lies on nosuchstore:")


def test_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(command("ingest", tmp_path / "file" / "out", drop=tmp_path)) == 3
    message = error(capsys.readouterr().err)
    assert message.startswith("EnvironmentFault: 1 of ")
    assert "\n  output: " in message


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A drop with a folder that nobody may list."""
    drop = drops.write(tmp_path / "drop", {f"{DAY}/b1_P1.png": drops.picture()})
    folder = drop / DAY
    folder.chmod(0)
    yield drop
    folder.chmod(0o700)


@pytest.mark.slow
def test_unreadable_directory(locked: Path, tmp_path: Path) -> None:
    arguments = command("ingest", tmp_path / "out", drop=locked)
    done = in_a_process_of_its_own(*arguments, prefix=without_root_rights())
    assert done.returncode == 4, done.stderr
    message = error(done.stderr)
    assert message.startswith(f"InputError: the folder file:{locked}/{DAY} can't be listed\n")


def without_root_rights() -> Sequence[str]:
    """What makes permission bits bind root too."""
    if os.getuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.mark.slow
def test_spark_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    arguments = command("ingest", tmp_path / "out", "spark.driver_memory=256m", drop=tmp_path)
    done = in_a_process_of_its_own(*arguments)
    assert done.returncode == 3
    assert error(done.stderr).startswith("EnvironmentFault: Spark can't start\n  got: ")
