"""Camera drops for tests: small pictures, folders written by hand, and tables read back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pcb_spark.pipeline import Counts, Job, config, run_ingest

if TYPE_CHECKING:
    import pytest
    from pyspark.sql import SparkSession

RUN_ID = "20260105T060000Z-abcdef"


def picture(shade: int = 128, *, file_format: str = "PNG") -> bytes:
    """A grey picture, 20 wide and 16 high, of one shade."""
    file = io.BytesIO()
    Image.new("L", (20, 16), shade).save(file, file_format)
    return file.getvalue()


def write(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write a folder of files by their paths in it, and return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def job(spark: SparkSession, root: Path | str, out: Path, *overrides: str) -> Job:
    settings = [f"paths.drop='{root}'", f"paths.out='{out}'", *overrides]
    return Job(spark=spark, config=config.load(None, settings), run_id=RUN_ID)


def ingest(spark: SparkSession, root: Path | str, out: Path, *overrides: str) -> Counts:
    """Take a drop in, also one of which most can't be read."""
    return run_ingest(job(spark, root, out, *overrides), refusing=False)


def rows(spark: SparkSession, out: Path, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """What ``columns`` of a table hold, sorted; nulls come first."""
    found = spark.read.parquet(str(out / table)).select(*columns).orderBy(*columns)
    return [tuple(row) for row in found.collect()]


class Killed(BaseException):
    """Ends a job in the middle of its writes, past every handler of errors."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int) -> None:
    """Let the ``call``-th call of ``owner.name``, counted from 1, not happen."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 1000))

    def maybe(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, maybe)
