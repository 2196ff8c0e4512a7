"""Is this machine fit for the job? Every job asks at its start, ``pcb-spark doctor`` prints it.

``check_machine`` looks at what can be known without Spark, ``check_session`` at the JVM and the
output. A check that fails says what was found and what to do; nothing here raises but ``require``.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnxruntime
import psutil
from py4j.protocol import Py4JError

from pcb_spark.core.errors import EnvironmentFault, InputError, StorageFault, StoreUnreachable
from pcb_spark.lake import class_archive, folders, session, tables
from pcb_spark.network.backbone import SOURCES, UNTRAINED
from pcb_spark.pipeline import synapseml_checks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.network.pretrained import WeightsSource
    from pcb_spark.network.settings import BackboneConfig
    from pcb_spark.pipeline.config import Config
    from pcb_spark.pipeline.synapseml_checks import Probe

_JAVA: Final = "17"
_PYTHON: Final = "3.11"
#: What Python's workers and native memory of ONNX Runtime and LightGBM take beside the JVM's heap.
_BESIDE_THE_HEAP: Final = 2 << 30
_LIBRARIES: Final = {
    "numpy": ("1.", "pyarrow 13 is compiled against numpy 1"),
    "pyarrow": ("13.", "with others petastorm reads no rows or fails"),
    "petastorm": ("0.13.", "the images table is written with it"),
}

_INSTALL_HINT: Final = "run `make venv`, or pip install -c constraints.txt 'pcb_spark-….whl[spark]'"
_OUTPUT_HINT: Final = (
    "set paths.out to a folder that you may write to; a store (abfss, wasb, s3a) also needs its "
    "connector in spark.jars.packages, and its credentials"
)
_OF_PYTHON: Final[tuple[Probe, ...]] = (
    ("ONNX Runtime", lambda: f"{onnxruntime.__version__}, of Python", _INSTALL_HINT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; ``hint`` says what to do where it isn't ``ok``.

    ``passes`` : it failed of what passes by itself, a store that doesn't answer.
    """

    name: str
    ok: bool
    found: str
    hint: str
    passes: bool = False


def check_machine(config: Config) -> list[Check]:
    """Check Java, Python, libraries, memory and weights; starts no JVM of Spark's."""
    return [
        _java(),
        _python(),
        *(_library(name) for name in _LIBRARIES),
        _memory(config.spark.driver_memory),
        _weights(config.backbone),
    ]


def check_session(spark: SparkSession, out: str, *, synapseml: bool = True) -> list[Check]:
    """Check the jars, the native libraries, ONNX Runtime's switch and write access to ``out``.

    The folder ``out`` is made where there is none.

    Parameters
    ----------
    synapseml : whether ONNXModel scores or LightGBM is fitted; else only what Python needs counts.
    """
    engine = synapseml_checks.probes(spark) if synapseml else _OF_PYTHON
    probes = (*engine, ("output", lambda: _write(spark, out), _OUTPUT_HINT))
    return [_attempt(name, probe, hint) for name, probe, hint in probes]


def require(checks: Sequence[Check]) -> None:
    """Pass if every check is ok.

    Raises
    ------
    EnvironmentFault : names each check that isn't, what was found, and what to do.
    StoreUnreachable : the same, where all of it passes by itself.
    """
    failed = [check for check in checks if not check.ok]
    if failed:
        kind = StoreUnreachable if all(check.passes for check in failed) else EnvironmentFault
        lines = [f"\n  {c.name}: {c.found}\n    next: {c.hint}" for c in failed]
        what = f"{len(failed)} of {len(checks)} checks of this machine failed"
        raise kind(what + "".join(lines))


def report(checks: Sequence[Check]) -> str:
    """Return a table for the terminal, one line a check, and the hint below each that failed."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{'ok' if check.ok else 'FAIL':<4}  {check.name:<{width}}  {check.found}")
        if not check.ok:
            lines.append(f"{'':<4}  {'':<{width}}  next: {check.hint}")
    return "\n".join(lines)


def _java() -> Check:
    """Ask the Java that Spark would start: that of JAVA_HOME, else the first on PATH."""
    home = os.environ.get("JAVA_HOME")
    java = class_archive.find_java()
    where = f"JAVA_HOME={home}" if home else "PATH"
    version = _java_version(java) if java else None
    return Check(
        name="Java",
        ok=version is not None and re.split(r"\D", version)[0] == _JAVA,
        found=f"{version} ({java})" if version else f"no java that runs in {where}",
        hint=f"install a Java {_JAVA} runtime (Debian: openjdk-{_JAVA}-jre-headless) and set "
        "JAVA_HOME to its folder",
    )


def _java_version(java: str) -> str | None:
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "([^"]+)"', done.stderr + done.stdout)
    return match.group(1) if match else None


def _python() -> Check:
    version = platform.python_version()
    hint = f"install pcb_spark with Python {_PYTHON}; make venv PYTHON=python{_PYTHON}"
    return Check(name="Python", ok=version.startswith(f"{_PYTHON}."), found=version, hint=hint)


def _library(name: str) -> Check:
    """Import a library, since one that is installed may still not fit the others."""
    wanted, why = _LIBRARIES[name]
    try:
        version = str(importlib.import_module(name).__version__)
    except Exception as error:  # noqa: BLE001  a library that doesn't fit raises anything
        version = f"{type(error).__name__}: {error}".splitlines()[0]
    hint = f"{_INSTALL_HINT} ({wanted}x is needed: {why})"
    return Check(name=name, ok=version.startswith(wanted), found=version, hint=hint)


def _memory(driver_memory: str) -> Check:
    """Compare what is free with the driver's heap; under spark-submit the heap is there already."""
    free = psutil.virtual_memory().available
    heap = 0 if session.submitted() else _bytes(driver_memory)
    if heap is None:
        hint = 'write spark.driver_memory as Spark does, e.g. "4g" or "3072m"'
        return Check(name="memory", ok=False, found=f"driver memory {driver_memory}", hint=hint)
    needed = heap + _BESIDE_THE_HEAP
    found = f"{_gib(free)} free, {_gib(needed)} needed"
    hint = "end other programs, or lower spark.driver_memory"
    return Check(name="memory", ok=free >= needed, found=found, hint=hint)


def _bytes(memory: str) -> int | None:
    """Read Spark's notation: ``4g``, ``4gb``, ``3072m``; no unit means MiB."""
    match = re.fullmatch(r"(\d+)([kmgt]?)b?", memory.strip().lower())
    if match is None:
        return None
    powers = {"k": 10, "m": 20, "": 20, "g": 30, "t": 40}
    return int(match.group(1)) << powers[match.group(2)]


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def _weights(backbone: BackboneConfig) -> Check:
    """Say whether the weights are there or can be fetched; what they hold is read later."""
    if backbone.weights == UNTRAINED:
        found = "untrained network, for demonstrations: its scores say nothing"
        return Check(name="weights", ok=True, found=found, hint="")
    if backbone.weights in SOURCES:
        return _download(SOURCES[backbone.weights], backbone.cache_folder)
    path = Path(backbone.weights).expanduser()
    size = path.stat().st_size if path.is_file() and os.access(path, os.R_OK) else 0
    return Check(
        name="weights",
        ok=size > 0,
        found=f"{path}, {size:,} bytes" if size else f"{path} isn't a readable file with content",
        hint=f"set backbone.weights to a ResNet-50 ONNX file, or to one of {', '.join(SOURCES)}",
    )


def _download(source: WeightsSource, cache: Path) -> Check:
    path = cache / source.file_name
    cached = path.is_file() and path.stat().st_size == source.size
    place = f"cached in {cache}" if cached else f"{source.size:,} bytes to download into {cache}"
    nearest = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    return Check(
        name="weights",
        ok=cached or (nearest.is_dir() and os.access(nearest, os.W_OK) and not folders.offline()),
        found=f"{source.name}, {place}",
        hint="make that folder writable, or name another with backbone.cache; where "
        f"{folders.OFFLINE} is set, bring the file there by hand",
    )


def _attempt(name: str, probe: Callable[[], str], hint: str) -> Check:
    """Take what ``probe`` returns as found; a JVM that refuses, or is gone, is a failed check."""
    try:
        with tables.spark_failures(name, hint=hint):
            return Check(name=name, ok=True, found=probe(), hint=hint)
    except EnvironmentFault as error:
        found = error.what
    except StoreUnreachable as error:
        return Check(name=name, ok=False, found=str(error.got), hint=hint, passes=True)
    except (InputError, StorageFault) as error:
        found = str(error.got)
    except (Py4JError, OSError) as error:
        found = f"{type(error).__name__}: {error}".splitlines()[0]
    return Check(name=name, ok=False, found=found, hint=hint)


def _write(spark: SparkSession, out: str) -> str:
    """Create and delete a file through Hadoop, as the jobs do."""
    if not out:
        raise EnvironmentFault("paths.out is empty")
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(f"{out.rstrip('/')}/.probe-{uuid.uuid4().hex}")
    filesystem = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    filesystem.create(path).close()
    filesystem.delete(path, False)
    return f"{out} is writable"
