"""What it saves that images share their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import data, models, rounds, rows, ways

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from benchmarks.rounds import Round
    from benchmarks.setup import Bench

#: Images of a set that has one reference for all of them.
_IMAGES = 200


def measure(bench: Bench, repeats: int) -> list[rows.Row]:
    """Score the same images with references as they are and with one for each, in turn."""
    tables = bench.tables
    whole = tables.images(tables.large)
    few = data.resized(whole, _IMAGES + tables.small)
    sets = {
        "references as in the data": whole,
        f"one reference for {_IMAGES} images": data.one_reference(few),
    }
    found = []
    for name, images in sets.items():
        found += _compare(bench, name, images, repeats)
    return found


def _compare(bench: Bench, name: str, images: DataFrame, repeats: int) -> list[rows.Row]:
    model = bench.models[models.DEFAULT, "fp32"]
    if not model.reading.difference:
        return []
    variants = {
        name: ways.ours(model, _tables(bench, "shared", images)),
        f"{name}, each its own": ways.ours(model, _tables(bench, "own", data.unshared(images))),
    }
    took: dict[str, list[Round]] = {key: [] for key in variants}
    for _ in range(repeats):
        for key, way in variants.items():
            took[key].append(way.measure())
    told = {key: rounds.steady(each) for key, each in took.items()}
    return [
        rows.Row(
            way=ways.OURS,
            stage=key,
            model=model.name,
            precision=model.precision,
            images_per_s=told[key].rate,
            n=way.n,
            repeats=repeats,
            spread=told[key].spread,
            note=told[key].note,
        )
        for key, way in variants.items()
    ]


def _tables(bench: Bench, name: str, images: DataFrame) -> ways.Tables:
    old = bench.tables
    folder = old.scratch / name
    n = images.count()
    folders = {
        old.small: data.write(images.limit(old.small), folder / "small"),
        n: data.write(images, folder / "large"),
    }
    return ways.Tables(spark=old.spark, source=old.source, folders=folders, scratch=folder)
