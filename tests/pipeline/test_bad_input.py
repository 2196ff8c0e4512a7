"""Whatever goes in: a row in the rejects, or one clear error with its exit code."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark import cli
from pcb_spark.lake import schemas, tables
from tests import drops, graphs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# All but one run in this session; cli.main leaves it running.
pytestmark = pytest.mark.usefixtures("spark")

DAY = "images/line=L1/date=2026-01-05"
HEADER = "image,reference,captured_at,verdict,verified_at\n"
SMALL = ("spark.driver_memory=1g", "backbone.weights=untrained")

#: Quick, and with trees from the first row on.
TRAIN = (
    "folds.n=2", "folds.first_fraction=0.4", "classifier.num_iterations=3",
    "classifier.min_data_in_leaf=1", "classifier.feature_fraction=1.0",
    "policy.bootstrap_resamples=0", "backbone.precision=int8",
)  # fmt: skip
#: How many numbers the largest values of layer1's maps are.
WIDTH = 256

Reject = tuple[str, str, str | None]
Run = tuple[int, str, Path]


def command(name: str, out: Path, *overrides: str, drop: Path | str = "") -> list[str]:
    settings = (*SMALL, f"paths.drop='{drop}'", f"paths.out='{out}'", *overrides)
    return [name, *(part for setting in settings for part in ("--set", setting))]


def error(stderr: str) -> str:
    """The one error of a run, without what the log puts before it."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if " ERROR run=" in line]
    assert len(lines) == 1, stderr
    return stderr[stderr.index(lines[0]) :].partition(" pcb_spark.cli: ")[2]


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
        # Hadoop can't open a name with a colon: that file alone is rejected.
        ({f"{DAY}/b1_06:00_P1.png": drops.picture()},
         "InputError: none of the 1 images of the drop can be used\n"),
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
    assert message.startswith(f"InputError: the drop {locked} can't be read\n")
    assert f"{DAY}" in message


def in_a_process_of_its_own(
    *arguments: str, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    program = "import sys; from pcb_spark.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [*prefix, sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def without_root_rights() -> Sequence[str]:
    """What makes permission bits bind root too."""
    if os.getuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What the whole job makes of one image: exit code, log and tables."""
    folder = tmp_path_factory.mktemp("single")
    drop = drops.write(
        folder / "drop",
        {
            f"{DAY}/b1_P1.png": drops.picture(),
            "verdicts.csv": HEADER + f"{DAY}/b1_P1.png,,,pass,\n",
        },
    )
    out = folder / "out"
    with contextlib.redirect_stderr(io.StringIO()) as log:
        code = cli.main(command("run", out, "features.levels=['layer1']", drop=drop))
    return code, log.getvalue(), out


@pytest.mark.slow
def test_one_image_only(spark: SparkSession, single: Run) -> None:
    code, log, out = single
    assert code == 6
    message = error(log)
    assert message.startswith("TrainingError: the images with features and verdict hold one class")
    assert "got: 0 fail among 1 images" in message
    assert len(drops.rows(spark, out, "features", "image_id")) == 1


def write_judged(
    spark: SparkSession, feature_set: Path, out: Path, days: Sequence[str], *, seen: str = ""
) -> None:
    """Write what train reads: for each day one image a letter, (p)ass or (f)ail.

    ``seen`` is the hash of the file that features were made from; images have that of none.
    """
    shutil.copytree(feature_set, out / "feature_set")
    images, verdicts, features = [], [], []
    for day, letters in enumerate(days):
        moment = datetime(2026, 1, 5 + day, 6, tzinfo=UTC)
        for number, letter in enumerate(letters):
            name = f"d{day}n{number}"
            traceability: tuple[Any, ...] = (name, name, "L1", None, name, "P1", None, moment)
            images.append((*traceability, b"", None, None, None, 1, 1, "", moment.date()))
            verdicts.append((name, {"p": "pass", "f": "fail"}[letter], None, None, None, False))
            numbers = [float(letter == "f"), float(number), *[0.0] * (WIDTH - 2)]
            features.append((name, numbers, "set", seen, None, moment.date()))
    for table, rows, schema in (
        ("images", images, schemas.IMAGES),
        ("verdicts", verdicts, schemas.VERDICTS),
        ("features", features, schemas.FEATURES_TABLE),
    ):
        tables.replace(spark.createDataFrame(rows, schema), str(out / table), schema)


@pytest.mark.slow
def test_one_class_only_in_a_training_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["ppp", "ppp", "pfp", "pfp", "pfp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 6
    message = error(capsys.readouterr().err)
    assert message.startswith(
        "TrainingError: the training window of fold 1 (before 2026-01-07) hold one class only\n"
    )
    assert "got: 0 fail among 6 images" in message
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_features_of_files_that_came_again(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_judged(spark, single[2] / "feature_set", tmp_path, ["pf", "pf"], seen="0" * 64)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 4
    message = error(capsys.readouterr().err)
    assert message.startswith(
        "InputError: none of the 4 features is of what the images table holds by now\n"
    )
    assert "next: run the featurize job again" in message


@pytest.mark.slow
def test_one_class_only_in_a_test_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["pfpfpfpf", "pfpfpfpf", "pfpfpfpf", "pfpfpfpf", "pppp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 0
    captured = capsys.readouterr()
    assert " ERROR " not in captured.err
    found = drops.rows(spark, tmp_path, "metrics", "metric", "scope", "value", "n")
    assert [row[1:] for row in found if row[0] == "roc_auc" and row[1].startswith("fold")] == [
        ("fold=1", 1.0, 16), ("fold=2", None, 4), ("folds_mean", 1.0, 16),
    ]  # fmt: skip
    assert "AUC fold=2: undefined, one class only, n = 4" in captured.out


@pytest.mark.slow
def test_one_class_only_in_every_test_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["pfpfpfpf", "pfpfpfpf", "pppp", "pppp", "pppp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 6
    message = error(capsys.readouterr().err)
    assert message.startswith("TrainingError: no test window holds both verdicts")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_spark_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    arguments = command("ingest", tmp_path / "out", "spark.driver_memory=256m", drop=tmp_path)
    done = in_a_process_of_its_own(*arguments)
    assert done.returncode == 3
    assert error(done.stderr).startswith("EnvironmentFault: Spark can't start\n  got: ")
