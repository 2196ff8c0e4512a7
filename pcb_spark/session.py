"""The Spark session: built here in local mode, taken as it is under spark-submit."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark import SparkFiles
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pcb_spark import jars
from pcb_spark.errors import EnvironmentFault

if TYPE_CHECKING:
    from pcb_spark.config import Config

#: Lets ONNX Runtime inside the JVM take its thread count from the model (``graphs.with_threads``).
ORT_CONFIG_SWITCH = "ORT_LOAD_CONFIG_FROM_MODEL"
#: ONNX Runtime's telemetry is on by default since 1.29. Besides reporting home it walks the command
#: line by a recursive regex, and the length of spark.jars makes that overflow Java's thread stack:
#: the JVM dies of SIGSEGV and says nothing.
ORT_TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"


def conf_file(name: str) -> Path:
    """Return a file of conf/ in the checkout that this package runs from."""
    return jars.default_properties_file().with_name(name)


def submitted() -> bool:
    """Say whether spark-submit started this process; the JVM is then already running."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def get(config: Config, *, app_name: str = "pcb_spark") -> SparkSession:
    """Return the session for ``config``.

    Under spark-submit the master, the jars and the memory are those of the command line; in local
    mode they come from conf/spark-defaults.conf and the ``[spark]`` section.
    """
    builder = SparkSession.builder.appName(app_name)
    if not submitted():
        for key, value in _local_settings(config).items():
            builder = builder.config(key, value)
        _prepare_environment()
    for key, value in config.spark.conf.items():
        builder = builder.config(key, value)
    try:
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


def _local_settings(config: Config) -> dict[str, str]:
    properties = jars.read_properties(jars.default_properties_file())
    cache = Path(config.backbone.cache)
    paths = jars.with_connectors(properties, config.places().values(), cache=cache)
    logging_option = f"-Dlog4j2.configurationFile={conf_file('log4j2.properties')}"
    kept = {k: v for k, v in properties.items() if k not in (jars.PACKAGES, jars.EXCLUDES)}
    return kept | {
        "spark.master": config.spark.master,
        "spark.driver.memory": config.spark.driver_memory,
        "spark.jars": ",".join(str(path) for path in paths),
        "spark.ui.enabled": "false",
        "spark.driver.host": "localhost",
        "spark.driver.bindAddress": "127.0.0.1",
        _JAVA_OPTIONS: f"{kept.get(_JAVA_OPTIONS, '')} {logging_option}".strip(),
    }


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
    os.environ.setdefault(ORT_TELEMETRY_SWITCH, "1")
