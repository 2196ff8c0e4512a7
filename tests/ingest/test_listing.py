"""Listings of a local disk: links are counted and not followed, whatever they lead to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.ingest import listing, named_files
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def names(uris: list[str], root: Path) -> list[str]:
    return sorted(uri.removeprefix(f"file:{root}/") for uri in uris)


def test_links_are_not_followed(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(tmp_path, {"line=L1/day/a.png": b"1", "line=L1/day/b.png": b"", "c.png": b"12"})
    (tmp_path / "line=L2").symlink_to("line=L1")
    (tmp_path / "line=L1" / "up").symlink_to("..")
    (tmp_path / "line=L1" / "again").symlink_to("..")
    (tmp_path / "d.png").symlink_to("c.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    found = listing.list_files(spark, f"file:{tmp_path}")
    assert names([file.uri for file in found.files], tmp_path) == [
        "c.png", "line=L1/day/a.png", "line=L1/day/b.png",
    ]  # fmt: skip
    assert names(found.links, tmp_path) == [
        "broken.png", "d.png", "line=L1/again", "line=L1/up", "line=L2",
    ]  # fmt: skip


def test_the_folder_itself_may_be_a_link(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(tmp_path, {"real/a.png": b"1"})
    (tmp_path / "drop").symlink_to("real")
    found = listing.list_files(spark, f"file:{tmp_path}/drop")
    assert [file.uri for file in found.files] == [f"file:{tmp_path}/drop/a.png"]
    assert found.links == []


def test_hidden_files_and_what_is_no_file_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    hidden = (".a.png", "_b.png", "_c/d.png", "e.png._COPYING_")
    drops.write(tmp_path, dict.fromkeys((*hidden, "_line=L1/f.png", "g:h.png"), b"1"))
    os.mkfifo(tmp_path / "pipe.png")
    found = listing.list_files(spark, f"file:{tmp_path}")
    assert names([file.uri for file in found.files], tmp_path) == ["_line=L1/f.png", "g:h.png"]


@pytest.mark.parametrize(("seconds", "old", "young"), [(0, 3, 0), (1, 2, 1), (60, 1, 2)])
def test_files_that_wait(seconds: int, old: int, young: int) -> None:
    ages = [timedelta(hours=1), timedelta(seconds=59), timedelta(), timedelta(seconds=-1)]
    files = [listing.Listed(f"file:/{age}", 1, NOON - age) for age in ages]
    found = listing.settled(files, now=NOON, seconds=seconds)
    assert (len(found.files), found.young, found.ahead) == (old, young, 1)
    assert (
        found.lines()[-1]
        == "1 files wait, since they were written in the future: a clock runs ahead"
    )


@pytest.mark.parametrize(("ms", "year"), [(-(2**50), 1970), (2**60, 9999), (1767600000000, 2026)])
def test_impossible_times_of_modification_are_brought_into_range(ms: int, year: int) -> None:
    assert listing.modified_at(ms).year == year


FILES = (
    "verdicts.csv", "Verdicts.CSV", "MANIFEST.csv", "mes/2026-01.CSV", "mes/2026-02.csv",
    "Labels/a.json", "labels/b.json", "08:15.png",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found", "others"),
    [
        ("verdicts.csv", ["verdicts.csv"], ["Verdicts.CSV"]),
        ("VERDICTS.CSV", ["Verdicts.CSV", "verdicts.csv"], []),
        ("manifest.csv", ["MANIFEST.csv"], []),
        ("manifest.parquet", [], []),
        ("mes/*.csv", ["mes/2026-02.csv"], ["mes/2026-01.CSV"]),
        ("mes/2026-0{1,2}.csv", ["mes/2026-02.csv"], ["mes/2026-01.CSV"]),
        ("m?s/", ["mes"], []),
        ("LABELS", ["Labels", "labels"], []),
        ("labels/../mes/2026-02.csv", ["mes/2026-02.csv"], []),
        ("./verdicts.csv", ["verdicts.csv"], ["Verdicts.CSV"]),
        ("verdicts.csv/x", [], []),
    ],
)
def test_names_are_found_in_any_case(
    spark: SparkSession, tmp_path: Path, name: str, found: list[str], others: list[str]
) -> None:
    drops.write(tmp_path, dict.fromkeys(FILES, b"1"))
    matches = named_files.find(spark, f"file:{tmp_path}", name)
    assert names([each.uri for each in matches.found], tmp_path) == found
    assert names([each.uri for each in matches.others], tmp_path) == others


def test_names_are_found_on_a_store_by_one_listing(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(tmp_path, {"a b/Größe;=.csv": b"123", "c.csv": b""})
    found = named_files._entries_by_hadoop(spark, f"file:{tmp_path}")
    assert sorted((e.name, e.length, e.is_folder) for e in found) == [
        ("a b", 0, True), ("c.csv", 0, False),
    ]  # fmt: skip
    (file,) = named_files._entries_by_hadoop(spark, f"file:{tmp_path}/a b")
    assert (file.name, file.length) == ("Größe;=.csv", 3)
