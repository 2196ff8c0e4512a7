from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from benchmarks import data


def write_drop(folder: Path, *, days: int, a_day: int) -> Path:
    """A drop of empty-looking files, all with one reference."""
    rows = []
    (folder / "references").mkdir(parents=True)
    (folder / "references" / "golden.jpg").write_bytes(b"golden")
    for day in range(days):
        for number in range(a_day):
            image = f"images/date=2026-01-{day + 1:02d}/b{day}{number}_P0.jpg"
            (folder / image).parent.mkdir(parents=True, exist_ok=True)
            (folder / image).write_bytes(b"image")
            time = f"2026-01-{day + 1:02d}T06:00:{number:02d}Z"
            rows.append((image, "references/golden.jpg", time, "pass"))
    with (folder / "verdicts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "reference", "captured_at", "verdict"), *rows])
    return folder


def test_sample_takes_images_evenly_from_four_days(tmp_path: Path) -> None:
    source = data.Source(drop=write_drop(tmp_path / "drop", days=9, a_day=6), weights="untrained")
    volume = data.sample_drop(source, tmp_path / "sample", 8)
    with (tmp_path / "sample" / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        kept = [row["image"] for row in csv.DictReader(file)]
    assert Counter(Path(name).parent.name for name in kept) == {
        "date=2026-01-01": 2,
        "date=2026-01-03": 2,
        "date=2026-01-05": 2,
        "date=2026-01-07": 2,
    }
    assert all((tmp_path / "sample" / name).is_file() for name in kept)
    assert volume == 8 * len(b"image") + len(b"golden")


def test_named_data_and_weights_come_before_those_beside_the_checkout(tmp_path: Path) -> None:
    found = data.find(tmp_path, "resnet50-v1-12")
    assert (found.drop, found.weights) == (tmp_path, "resnet50-v1-12")
    assert found.described == f"{tmp_path.name}, weights resnet50-v1-12"
    assert found.overrides == ["backbone.weights='resnet50-v1-12'"]
