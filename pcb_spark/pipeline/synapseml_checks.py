"""Whether a session has what SynapseML needs: its jars, its native libraries, one thread a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core.errors import EnvironmentFault
from pcb_spark.lake import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Its name, what returns what was found, and the hint where that fails.
Probe = tuple[str, Callable[[], str], str]

#: A class of each jar, loaded to see whether it is there.
CLASSES: Final = {
    "ONNX": "com.microsoft.azure.synapse.ml.onnx.ONNXModel",
    "LightGBM": "com.microsoft.azure.synapse.ml.lightgbm.LightGBMClassifier",
    "ONNX Runtime": "ai.onnxruntime.OrtEnvironment",
}


_PROPERTIES: Final = '--properties-file "$(pcb-spark conf)/spark-defaults.conf"'
_JARS_HINT: Final = f"run `pcb-spark jars`; spark-submit {_PROPERTIES}"
_SWITCH_HINT: Final = (
    f"export the variable as 1 before the command starts; executors get it by {_PROPERTIES}"
)
_NATIVE_HINT: Final = (
    "use Linux on x86-64 with glibc; where the temporary folder is mounted noexec, name another "
    "with -Djava.io.tmpdir"
)


def probes(spark: SparkSession) -> tuple[Probe, ...]:
    """What ``doctor.check_session`` attempts where SynapseML is needed."""
    return (
        ("ONNX jar", lambda: _jar_of(spark, CLASSES["ONNX"]), _JARS_HINT),
        ("LightGBM jar", lambda: _jar_of(spark, CLASSES["LightGBM"]), _JARS_HINT),
        ("thread switch", lambda: _switch(spark, session.ORT_CONFIG_SWITCH), _SWITCH_HINT),
        ("ONNX Runtime", lambda: _onnx_runtime(spark), _NATIVE_HINT),
        ("LightGBM", lambda: _lightgbm(spark), f"install libgomp1; {_NATIVE_HINT}"),
    )


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm


def _loaded(spark: SparkSession, class_name: str) -> Any:
    """Load a class without running its initialiser, from the jars that Spark was given."""
    lang = _jvm(spark).java.lang
    return lang.Class.forName(
        class_name, False, lang.Thread.currentThread().getContextClassLoader()
    )


def _jar_of(spark: SparkSession, class_name: str) -> str:
    location = _loaded(spark, class_name).getProtectionDomain().getCodeSource().getLocation()
    return str(location.getPath()).rpartition("/")[2]


def _switch(spark: SparkSession, name: str) -> str:
    """Look for a variable where ONNX Runtime runs: in this JVM, and in executors of their own."""
    places = {"driver": _jvm(spark).java.lang.System.getenv(name)}
    if not str(spark.sparkContext.master).startswith("local"):
        places["executors"] = spark.conf.get(f"spark.executorEnv.{name}", None)
    found = ", ".join(f"{name}={value} on the {place}" for place, value in places.items())
    if set(places.values()) != {"1"}:
        raise EnvironmentFault(found)
    return found


def _onnx_runtime(spark: SparkSession) -> str:
    _loaded(spark, CLASSES["ONNX Runtime"])
    return str(_jvm(spark).ai.onnxruntime.OrtEnvironment.getEnvironment().getVersion())


def _lightgbm(spark: SparkSession) -> str:
    _loaded(spark, CLASSES["LightGBM"])
    _jvm(spark).com.microsoft.azure.synapse.ml.lightgbm.LightGBMUtils.initializeNativeLibrary()
    return "native library loaded"
