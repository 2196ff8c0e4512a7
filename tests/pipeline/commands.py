"""The command line, called as a user does, and the one error that it ends with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DAY = "images/line=L1/date=2026-01-05"
HEADER = "image,reference,captured_at,verdict,verified_at\n"
SMALL = ("spark.driver_memory=1g", "backbone.weights=untrained")


def command(name: str, out: Path, *overrides: str, drop: Path | str = "") -> list[str]:
    settings = (*SMALL, f"paths.drop='{drop}'", f"paths.out='{out}'", *overrides)
    return [name, *(part for setting in settings for part in ("--set", setting))]


def error(stderr: str) -> str:
    """The one error of a run, without what the log puts before it."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if " ERROR run=" in line]
    assert len(lines) == 1, stderr
    return stderr[stderr.index(lines[0]) :].partition(" pcb_spark.cli: ")[2]


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
