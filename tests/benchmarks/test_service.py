from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401
import pytest
from pyarrow import parquet

from benchmarks import service
from pcb_spark.core import bundle
from tests import edge
from tests.rows import rendered_pairs


def test_every_pair_is_asked_for_once_by_so_many_at_a_time() -> None:
    asked: list[int] = []
    inside, most = 0, 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def call(number: int) -> None:
        nonlocal inside, most
        with lock:
            inside, most = inside + 1, max(most, inside + 1)
        both.wait(30)
        with lock:
            inside -= 1
            asked.append(number)

    _, waited = service.asked(lambda: call, 6, 2)

    assert sorted(asked) == [0, 0, *range(6)]  # one each before the clock starts
    assert (len(waited), most) == (6, 2)


@pytest.mark.parametrize("broken", [0, 3])
def test_way_that_fails_ends_the_run(broken: int) -> None:
    def call(number: int) -> None:
        if number == broken:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        service.asked(lambda: call, 5, 2)


def test_ratios_are_to_the_limit_of_the_same_concurrency() -> None:
    figures = [
        service.Figure(
            way=way, concurrency=at, pairs_per_s=rate, p50_ms=1, p99_ms=2, n=10, rounds=3
        )
        for way, at, rate in (
            ("onnxruntime alone, packed", 1, 40.0), ("onnxruntime alone, packed", 16, 80.0),
            ("pcb-serve", 1, 30.0), ("pcb-serve", 16, 72.0),
        )
    ]  # fmt: skip
    rows = [line.split(" | ") for line in service.table(figures).splitlines()[2:]]
    assert [row[3] for row in rows] == ["1.00", "1.00", "0.75", "0.90"]


@pytest.mark.slow
def test_all_ways_answer(tmp_path: Path) -> None:
    made = edge.model()
    bundle.write(tmp_path / "bundle", asdict(made.manifest), made.parts)
    (tmp_path / "images").mkdir()
    pairs = [dict(zip(("image", "reference"), each, strict=True)) for each in rendered_pairs(3)]
    parquet.write_table(pa.Table.from_pylist(pairs), tmp_path / "images" / "part.parquet")
    to = tmp_path / "service.json"

    words = [str(tmp_path), "--pairs", "3", "--rounds", "1", "--to", str(to)]
    assert service.main(words) == 0

    figures = json.loads(to.read_text())["figures"]
    assert {(each["way"], each["concurrency"]) for each in figures} == {
        (way, at)
        for way in (
            "onnxruntime alone, packed", "core.scorer, no HTTP", "plain FastAPI", "pcb-serve",
        )
        for at in (1, 16)
    }  # fmt: skip
