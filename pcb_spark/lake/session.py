"""The Spark session: built here in local mode, taken as it is under spark-submit."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark import SparkFiles
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pcb_spark.core.errors import EnvironmentFault
from pcb_spark.lake import class_archive, folders, jars, python_daemon

if TYPE_CHECKING:
    from pcb_spark.lake.settings import SessionConfig

log = logging.getLogger(__name__)

#: Lets ONNX Runtime inside the JVM take its thread count from the model (``graphs.with_threads``).
ORT_CONFIG_SWITCH = "ORT_LOAD_CONFIG_FROM_MODEL"

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
#: What its second compiler gains comes after minutes; until then it takes half of Java's time.
_FIRST_COMPILER_ALONE = "-XX:TieredStopAtLevel=1"
#: What spark-class puts behind Spark's own jars on the class path of the JVM that it starts.
_MORE_JARS = "SPARK_DIST_CLASSPATH"


def submitted() -> bool:
    """Say whether spark-submit started this process; the JVM is then already running."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def get(
    config: SessionConfig, *, app_name: str = "pcb_spark", fits: bool = False, lasts: bool = False
) -> SparkSession:
    """Return the session for ``config``.

    Under spark-submit the master, the jars and the memory are those of the command line; in local
    mode they come from spark-defaults.conf and the ``[spark]`` section.

    Parameters
    ----------
    fits : whether LightGBM is to be fitted, which needs SynapseML's jars whatever scores.
    lasts : whether Java is at work for minutes, as it is for a fit.
    """
    builder = SparkSession.builder.appName(app_name)
    class_path: Sequence[Path] = ()
    if not submitted():
        settings, class_path = _local_settings(config, fits=fits, lasts=lasts)
        for key, value in settings.items():
            builder = builder.config(key, value)
        _prepare_environment()
    for key, value in config.spark.conf.items():
        builder = builder.config(key, value)
    try:
        with _on_class_path(class_path):
            spark = builder.getOrCreate()
    except (Py4JJavaError, PySparkException) as error:
        cause = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        what, hint = "Spark can't start", "check spark.master and spark.driver_memory"
        raise EnvironmentFault(what, got=cause[0], hint=hint) from None
    if submitted():
        _ship_wheels(spark)
    return spark


def stop(spark: SparkSession) -> None:
    """Stop the session and let go of the JVM, so that spark-submit ends.

    Each LightGBM fit leaves a pool with one thread, which ends only when the pool is collected.
    Java waits for such threads: without a collection after the last fit, a driver that is done
    would stay for good.
    """
    spark.stop()
    if submitted():
        spark._jvm.java.lang.System.gc()  # type: ignore[union-attr]


def task_slots(spark: SparkSession) -> int:
    """Return how many tasks run at once."""
    return max(1, spark.sparkContext.defaultParallelism // task_cpus(spark))


def task_cpus(spark: SparkSession) -> int:
    """Return spark.task.cpus, the cores that one task may use."""
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)


def prepare(config: SessionConfig, uris: Iterable[str] = ()) -> tuple[Sequence[Path], Path | None]:
    """Fetch ahead what a local session needs, with the connectors of ``uris``.

    Returns
    -------
    All jars, and the archive of Spark's classes if this Java can make one.
    """
    properties = _properties(config)
    found = jars.with_connectors(properties, [*config.places().values(), *uris])
    return found, class_archive.ensure(jars.resolve(properties))


def _properties(config: SessionConfig) -> dict[str, str]:
    """Return Spark's defaults of local mode; where jars come from may be configured."""
    sources = {k: v for k, v in config.spark.conf.items() if k in jars.SOURCES}
    return jars.read_properties(jars.default_properties_file()) | sources


def _local_settings(
    config: SessionConfig, *, fits: bool = False, lasts: bool = False
) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Return Spark's settings and the jars that the driver's class path needs besides.

    Where nothing needs SynapseML's, they are among them only if they lie here already: the archive
    of classes was made with them, and Java starts sooner with it.

    Where the driver is all there is, jars on its class path are enough. In ``spark.jars`` Spark
    would copy them for its executor, and that at every start: seconds, and as much disk.
    """
    properties = _properties(config)
    needed = fits or config.needs_synapseml
    wanted = properties if needed or jars.fetched(properties) else _without_packages(properties)
    paths = jars.with_connectors(wanted, config.places().values())
    logging_option = f"-Dlog4j2.configurationFile={folders.conf_folder() / 'log4j2.properties'}"
    used = (jars.PACKAGES, jars.EXCLUDES, *jars.SOURCES)
    kept = {k: v for k, v in properties.items() if k not in used}
    java_options = [*kept.get(_JAVA_OPTIONS, "").split(), logging_option]
    if log.isEnabledFor(logging.DEBUG):
        java_options.append("-Dpcb_spark.console=whole")
    settings = kept | {
        "spark.master": config.spark.master,
        "spark.driver.memory": config.spark.driver_memory,
        "spark.ui.enabled": "false",
        "spark.driver.host": "localhost",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    if config.spark.master.partition("[")[0] == "local":
        if not (fits or lasts):
            java_options.append(_FIRST_COMPILER_ALONE)
        java_options += class_archive.options(paths, java_options)
        settings["spark.python.daemon.module"] = python_daemon.__name__
    else:
        settings["spark.jars"] = ",".join(str(path) for path in paths)
        paths = ()
    return settings | {_JAVA_OPTIONS: " ".join(java_options)}, paths


def _without_packages(properties: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in properties.items() if k != jars.PACKAGES}


@contextlib.contextmanager
def _on_class_path(paths: Sequence[Path]) -> Iterator[None]:
    """Have a JVM that starts meanwhile find these jars, and none that is started later."""
    before = os.environ.get(_MORE_JARS)
    if paths:
        own = os.pathsep.join(str(path) for path in paths)
        os.environ[_MORE_JARS] = own if before is None else f"{own}{os.pathsep}{before}"
    try:
        yield
    finally:
        if before is not None:
            os.environ[_MORE_JARS] = before
        else:
            os.environ.pop(_MORE_JARS, None)


def _ship_wheels(spark: SparkSession) -> None:
    """Put the wheels of ``--py-files`` where executors import from.

    Spark copies every file of ``--py-files`` to them, but puts only .zip, .egg and .jar on their
    path. A wheel is a zip file under another name, so it goes there once more as one.
    """
    context = spark.sparkContext
    for path in (context.getConf().get("spark.submit.pyFiles") or "").split(","):
        if path.endswith(".whl"):
            wheel = Path(SparkFiles.get(Path(path).name))
            archive = wheel.with_suffix(".zip")
            shutil.copyfile(wheel, archive)
            context.addPyFile(str(archive))


def _prepare_environment() -> None:
    """Workers use this interpreter, or they would find no numpy."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.setdefault(ORT_CONFIG_SWITCH, "1")
    os.environ.update(locale_of_names(os.environ))


def locale_of_names(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what to set so that Java finds files whose names aren't ASCII.

    Java reads names by the locale; in the one of C, as under ``LC_ALL=C``, it finds none of them.
    """
    given = (environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    named = next((value for value in given if value), "C")
    return {"LC_ALL": "C.UTF-8"} if named in ("C", "POSIX") else {}
