"""An archive of the classes that Spark loads, which the driver's JVM maps when it starts.

Java calls it a dynamic CDS archive (JEP 350). A short job spends most of its time on finding
thousands of classes in jars and verifying them; the archive holds them as Java needs them.
``pcb-spark jars`` makes it, in half a minute, by letting a JVM go through ``pipeline.rehearsal``.
It fits one Java, and these jars where they lie: with any others Java starts without it, and says
nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pyspark.find_spark_home import _find_spark_home

from pcb_spark.lake import jars

log = logging.getLogger(__name__)

#: Beside the Spark that it belongs to, so that it goes when the environment goes.
_FOLDER = Path("share", "pcb_spark")
#: Java would say why an archive is of no use to it, in the middle of a job's output.
_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
_LIMIT_S = 600
#: An agent that starts with the JVM is shown every class that is loaded. Java 17 dies of SIGSEGV
#: when it has to show one of a dynamic archive; an agent that comes later does no harm.
_AGENT = re.compile(r"-(?:javaagent|agentlib|agentpath):|StartFlightRecording")


def options(class_path: Sequence[Path], java_options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a JVM with these jars behind Spark's own is to be started with.

    Jars that follow those that the archive was made with do no harm. Nothing is returned where
    ``java_options`` or the environment start an agent, a profiler for example, with the JVM.
    """
    archive = _place(class_path)
    if archive is None or not archive.exists() or _starts_agent(java_options):
        return ()
    return (f"-XX:SharedArchiveFile={archive}", *_QUIET)


def ensure(class_path: Sequence[Path]) -> Path | None:
    """Make the archive where there is none for this Java, Spark and ``class_path``.

    Returns
    -------
    The archive; None where this Java can't make one, which costs time at each start and no more.
    """
    archive = _place(class_path)
    if archive is None or archive.exists():
        return archive
    own = archive.with_name(f"making-{os.getpid()}{archive.suffix}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        _rehearse(own)
        for older in archive.parent.glob(f"classes-*{archive.suffix}"):
            older.unlink(missing_ok=True)
        own.rename(archive)
    except (OSError, subprocess.SubprocessError) as error:
        own.unlink(missing_ok=True)
        said = (getattr(error, "stderr", None) or "").strip().splitlines()
        why = f"{error} {said[-1]}" if said else error
        log.warning("no archive of Spark's classes, each start takes seconds longer: %s", why)
        return None
    return archive


def find_java() -> str | None:
    """Return the java that Spark starts: that of JAVA_HOME, else of PATH."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java")


def _starts_agent(java_options: Sequence[str]) -> bool:
    variables = (os.environ.get(name, "") for name in jars.OPTION_VARIABLES)
    return any(_AGENT.search(text) for text in (*java_options, *variables))


def _place(class_path: Sequence[Path]) -> Path | None:
    """Name the archive for all that Java compares before it uses one."""
    java = find_java()
    if java is None or not class_path:
        return None
    spark_home = Path(_find_spark_home())  # type: ignore[no-untyped-call]
    parts = [Path(java).resolve().parents[1] / "lib" / "modules", spark_home / "jars"]
    try:
        stamps = [(str(part), part.stat().st_mtime_ns) for part in parts]
    except OSError:
        return None
    key = hashlib.sha256(repr((stamps, class_path[0].parent)).encode()).hexdigest()[:16]
    return Path(sys.prefix) / _FOLDER / f"classes-{key}.jsa"


def _rehearse(archive: Path) -> None:
    options = (f"-XX:ArchiveClassesAtExit={archive}", *_QUIET)
    subprocess.run(
        [sys.executable, "-m", "pcb_spark.pipeline.rehearsal"],
        env={**os.environ, "SPARK_SUBMIT_OPTS": " ".join(options)},
        check=True,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    if not archive.exists():
        msg = "this Java has left none"
        raise FileNotFoundError(msg)
