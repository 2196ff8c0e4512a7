from __future__ import annotations

from pathlib import Path

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.demo import folder
from tests import drops


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "found",
    [
        {"images/capture_date=2026-01-05/part-0.parquet": b"", "files/part-0.parquet": b""},
        {"drop/.rendered": b"", "images/part-0.parquet": b""},  # by a demo of an earlier version
        {".leases/run.json": b""},
        {"notes.txt": b""},
        {".demo/notes.txt": b""},
    ],
)
def test_a_folder_of_somebody_else_is_refused_and_stays(
    tmp_path: Path, found: dict[str, bytes]
) -> None:
    drops.write(tmp_path, found)
    with pytest.raises(ConfigError, match="wasn't made by the demo") as caught:
        folder.claim(tmp_path)
    assert "if an earlier version's demo made it, delete it" in str(caught.value)
    with pytest.raises(ConfigError):
        folder.forget(tmp_path, ["images", "files"])
    assert files(tmp_path) == set(found)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    drops.write(tmp_path, {"out": "mine"})
    with pytest.raises(ConfigError, match="is no folder"):
        folder.claim(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "new", "new/below"])
def test_an_empty_folder_or_none_is_marked_and_known_again(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    folder.claim(out)
    drops.write(out, {"images/part-0": b"", "metrics/part-0": b"", "checkpoints/ingest/0": b""})
    folder.claim(out)
    folder.forget(out, ["images", "files", "checkpoints"])
    assert files(out) == {".demo", "metrics/part-0"}
