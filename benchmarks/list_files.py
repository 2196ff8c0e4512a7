"""What it costs to find out which files of a drop are new, by 10,000 files that lie in it.

python -m benchmarks.list_files --files 100000

``listing alone`` looks at every file, ``look`` compares the listing with the ledger, and ``ask``
with the listing before, as the service does every ``ingest.trigger_seconds``. Nothing is new.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest.drop import Drop
from pcb_spark.ingest.intake import Intake
from pcb_spark.ingest.paths import image_id
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import FILES
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.pipeline import config, logs
from pcb_spark.pipeline.job import Job

PER_FOLDER = 10_000
CONTENT = bytes(500)


def write(drop: Path, files: int) -> None:
    """Write small files, 10,000 a folder of one day."""
    for number in range(files):
        folder = drop / "images" / f"line=L1/date=2026-01-{1 + number // PER_FOLDER:02d}"
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"b{number:07d}_P1.jpg").write_bytes(CONTENT)


def remember(intake: Intake) -> None:
    """Write the ledger as if every file had been taken in."""
    job = intake.run
    listed = [(f.uri, f.length, f.modified_at) for f in intake.drop.files.list_images()]
    rows = job.spark.createDataFrame(
        listed, "source_uri string, length long, modified_at timestamp"
    )
    below = len(intake.drop.root.rstrip("/")) + 2
    ledger = rows.withColumns({
        names.IMAGE_ID: image_id(F.expr(f"substring({names.SOURCE_URI}, {below})")),
        names.CONTENT_SHA256: F.lit(""),
        names.CAPTURE_DATE: F.lit("2026-01-05"),
        names.OUTCOME: F.lit("ok"),
        names.SEEN_AT: F.lit(datetime.now(UTC)),
        names.RUN_ID: F.lit(job.run_id),
    })  # fmt: skip
    tables.append(ledger, job.table(FILES), schemas.FILES)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "drop", files)
        settings = [f"paths.drop='{folder}/drop'", f"paths.out='{folder}/out'"]
        wanted = config.load(None, [*settings, f"ingest.files_per_batch={files}"])
        spark = session.get(wanted)
        job = Job(spark=spark, config=wanted, run_id=logs.new_run_id())
        drop = Drop(spark, job.config.ingest, tables.qualified(spark, f"{folder}/drop"))
        intake = Intake(job, drop, ImageStore(spark, f"{folder}/out"))
        steps: list[tuple[str, Callable[[], object]]] = [
            ("", lambda: remember(intake)),
            ("listing alone", drop.files.list_images),
            ("look", intake.look),
            ("ask", intake.take_new),
        ]
        for what, step in steps:
            began = time.perf_counter()
            step()
            seconds = time.perf_counter() - began
            if what:
                per = seconds * 10_000 / files
                sys.stdout.write(f"{what:13} {seconds:6.1f} s, {per:.2f} s per 10,000 files\n")
        intake.close()
        session.stop(spark)


if __name__ == "__main__":
    main()
