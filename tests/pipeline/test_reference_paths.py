"""Golden images are found by what a drop writes, wherever it writes it, as images are."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from tests import drops

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

DAY = "images/date=2026-01-05"
GOLDEN = "references/Größe 1.png"
WRITTEN = [
    "references\\Größe 1.png", "./references/Größe 1.png", "D:\\aoi\\drop\\references\\Größe 1.png",
    "references/Gr%C3%B6%C3%9Fe%201.png", unicodedata.normalize("NFD", GOLDEN),
    "REFERENCES/Größe 1.PNG",
]  # fmt: skip
NOBODYS = "references/TWO.png"  # may be two files


def test_paths_of_golden_images_are_led_back_wherever_they_stand(
    spark: SparkSession, tmp_path: Path
) -> None:
    files: dict[str, bytes | str] = {
        name: drops.picture(shade)
        for shade, name in enumerate([GOLDEN, "references/two.png", "references/Two.png"])
    }
    manifest, windows = ["image;reference"], ["reference;position;comment"]
    for n, path in enumerate([*WRITTEN, NOBODYS]):
        files |= {f"{DAY}/B_{kind}{n}.png": drops.picture(10 + n) for kind in "SMW"}
        files[f"{DAY}/B_S{n}.png.json"] = json.dumps({"reference": path})
        manifest.append(f"{DAY}/B_M{n}.png;{path}")
        windows.append(f"{path};W{n};")
    files |= {name: "\n".join(rows) for name, rows in
              (("manifest.csv", manifest), ("references.csv", windows))}  # fmt: skip
    drops.ingest(spark, drops.write(tmp_path / "drop", files), tmp_path / "out")

    found = drops.rows(spark, tmp_path / "out", "images", "position", "reference_uri")
    expected = {f"{kind}{n}": GOLDEN for kind in "SMW" for n in range(len(WRITTEN))}
    assert {
        position: uri.partition("/drop/")[2] for position, uri in found if uri is not None
    } == expected
    rejects = drops.rows(spark, tmp_path / "out", "rejects", "reason", "source_uri")
    assert [(reason, uri.partition("/drop/")[2]) for reason, uri in rejects] == [
        ("reference_missing", NOBODYS)
    ]
