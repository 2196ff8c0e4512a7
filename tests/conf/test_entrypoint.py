"""What the image of the jobs makes of what Spark has Kubernetes start."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from faults import play
from pcb_spark.lake import jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("conf/docker/entrypoint", "conf/schedulers/run-night")
#: Where a pod lies is known once it is started.
STARTED = {"status.podIP": "10.1.0.8", "metadata.name": "pcb-night-exec-3"}

Container = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a container: stand-ins of Java and Spark print the words they get."""
    for place in ("bin/java", "spark/bin/spark-submit", "bin/pcb-spark"):
        stand_in = tmp_path / place
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$SPARK_DIST_CLASSPATH" "$@"\n')
        stand_in.chmod(0o755)
    for key in ("one", "two"):
        (tmp_path / "brought" / key / "jars").mkdir(parents=True)
    return {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SPARK_HOME": f"{tmp_path}/spark",
        "PCB_JARS": f"{tmp_path}/brought", "XDG_CACHE_HOME": f"{tmp_path}/cache",
        "SPARK_DIST_CLASSPATH": "",
    }  # fmt: skip


def entered(environment: dict[str, str], *words: str) -> list[str]:
    command = ["sh", str(ROOT / "conf/docker/entrypoint"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def brought(cluster: dict[str, str]) -> str:
    return "{0}/one/jars/*:{0}/two/jars/*".format(cluster["PCB_JARS"])


def documented() -> tuple[dict[str, str], list[str]]:
    """The settings of the page's spark-submit, and what is started by it with which arguments."""
    text = (ROOT / "docs/how-to/kubernetes.md").read_text()
    (command,) = re.findall(r"^spark-submit --master k8s(?:.*\\\n)*.*$", text, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "))
    settings = dict(each.split("=", 1) for each in words if re.match(r"spark\.\S+=", each))
    properties = words[words.index("--properties-file") + 1]
    begin = next(place for place, word in enumerate(words) if word.startswith("local://"))
    return {**jars.read_properties(ROOT / properties), **settings}, words[begin:]


class Kubernetes:
    """What Spark asks of Kubernetes, without a cluster: its own builders of pods, in the JVM."""

    def __init__(self, spark: SparkSession, settings: dict[str, str]) -> None:
        self._jvm = cast("Any", spark._jvm)
        self._gateway = cast("Any", spark.sparkContext._gateway)
        self._conf = self._jvm.org.apache.spark.SparkConf(False)
        for name, value in settings.items():
            self._conf.set(name, value)
        self._of = self._jvm.org.apache.spark.deploy.k8s
        self._none = self._jvm.scala.Option.apply(None)
        self._client = self._jvm.io.fabric8.kubernetes.client.KubernetesClientBuilder().build()

    def driver(self, program: str, *arguments: str) -> tuple[Container, dict[str, Any]]:
        given = self._gateway.new_array(self._jvm.java.lang.String, len(arguments))
        for place, argument in enumerate(arguments):
            given[place] = argument
        resource = self._of.submit.PythonMainAppResource(program)
        runner = "org.apache.spark.deploy.PythonRunner"
        conf = self._of.KubernetesConf.createDriverConf(
            self._conf, "spark-1", resource, runner, given, self._none
        )
        built = self._of.submit.KubernetesDriverBuilder().buildFromFeatures(conf, self._client)
        return self._read(built)

    def executor(self) -> tuple[Container, dict[str, Any]]:
        """Once the driver has told where it is."""
        self._conf.set("spark.driver.host", "driver").set("spark.driver.port", "7078")
        conf = self._of.KubernetesConf.createExecutorConf(self._conf, "3", "spark-1", self._none, 0)
        profile = self._object("org.apache.spark.resource.ResourceProfile")
        configuration = self._object("org.apache.spark.internal.config.package")
        manager = self._jvm.org.apache.spark.SecurityManager(
            self._conf, self._none, configuration.AUTH_SECRET_FILE()
        )
        builder = self._jvm.org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBuilder()
        return self._read(
            builder.buildFromFeatures(
                conf, manager, self._client, profile.getOrCreateDefaultProfile(self._conf)
            )
        )

    def _object(self, name: str) -> Any:
        """An object of Scala."""
        return self._jvm.java.lang.Class.forName(f"{name}$").getField("MODULE$").get(None)

    def _read(self, built: Any) -> tuple[Container, dict[str, Any]]:
        """Its container, and the pod around it."""
        write = self._jvm.io.fabric8.kubernetes.client.utils.Serialization.asJson
        pod = built.pod()
        return json.loads(write(pod.container())), json.loads(write(pod.pod()))["spec"]


def environment(container: Container) -> dict[str, str]:
    """Its variables; the fields of a pod as they would be."""
    return {
        each["name"]: each.get("value") or STARTED[each["valueFrom"]["fieldRef"]["fieldPath"]]
        for each in container["env"]
    }


def mounted(container: Container) -> set[str]:
    return {each["mountPath"] for each in container["volumeMounts"]}


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script: str) -> None:
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, ROOT / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_driver_is_what_spark_has_kubernetes_start(
    cluster: dict[str, str], spark: SparkSession
) -> None:
    settings, started = documented()
    container, pod = Kubernetes(spark, settings).driver(*started)

    assert container["args"][0] == "driver"
    assert "/data" in mounted(container)
    assert pod["serviceAccountName"] == "pcb-spark-driver"
    assert restricted(container, pod)
    found = entered(cluster | environment(container), *container["args"])
    assert found == [
        f"{cluster['SPARK_HOME']}/bin/spark-submit", brought(cluster),
        "--conf", "spark.driver.bindAddress=10.1.0.8", "--deploy-mode", "client",
        "--properties-file", "/opt/spark/conf/spark.properties",
        "--class", "org.apache.spark.deploy.PythonRunner", *started,
    ]  # fmt: skip


def test_an_executor_is_what_spark_has_kubernetes_start(
    cluster: dict[str, str], spark: SparkSession
) -> None:
    settings = documented()[0] | {
        "spark.executor.extraClassPath": "/data/own/*",
        "spark.executor.extraJavaOptions": "-XX:+UseParallelGC '-Da=$(b) c'",
    }
    container, pod = Kubernetes(spark, settings).executor()

    assert container["args"] == ["executor"]
    assert restricted(container, pod)
    given = environment(container)
    assert given["ORT_LOAD_CONFIG_FROM_MODEL"] == "1"
    # Those of this JVM's own session: Spark keeps one default profile for all.
    memory, cores = given["SPARK_EXECUTOR_MEMORY"], given["SPARK_EXECUTOR_CORES"]
    home = cluster["SPARK_HOME"]
    assert entered(cluster | given, *container["args"])[2:] == [
        f"-Xms{memory}", f"-Xmx{memory}",
        "-XX:+UseParallelGC", "-Da=$(b) c", "-Dspark.driver.port=7078",
        "-cp", f"/opt/spark/conf:/data/own/*:{home}/jars/*:{brought(cluster)}",
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        "--driver-url", "spark://CoarseGrainedScheduler@driver:7078", "--executor-id", "3",
        "--cores", cores, "--app-id", "spark-1", "--hostname", "10.1.0.8",
        "--resourceProfileId", "0", "--podName", "pcb-night-exec-3",
    ]  # fmt: skip


def restricted(container: Container, pod: dict[str, Any]) -> bool:
    """Whether a namespace that enforces the restricted standard takes it; /tmp may be written."""
    own = container["securityContext"]
    return bool(
        pod["securityContext"]["runAsNonRoot"]
        and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        and own["readOnlyRootFilesystem"]
        and not own["allowPrivilegeEscalation"]
        and own["capabilities"] == {"drop": ["ALL"]}
        and "/tmp" in mounted(container)
    )


def test_hadoops_files_come_before_sparks_jars(
    cluster: dict[str, str], spark: SparkSession
) -> None:
    container, _ = Kubernetes(spark, documented()[0]).executor()
    given = cluster | environment(container) | {"HADOOP_CONF_DIR": "/etc/hadoop"}
    words = entered(given, "executor")
    home = cluster["SPARK_HOME"]
    where = f"/opt/spark/conf:/etc/hadoop:{home}/jars/*:{brought(cluster)}"
    assert words[words.index("-cp") + 1] == where


def test_the_image_is_tried_with_what_an_executor_gets(spark: SparkSession) -> None:
    container, _ = Kubernetes(spark, documented()[0]).executor()
    wanted = {name for name in environment(container) if name.startswith("SPARK_")}
    numbered = {name for name in wanted if name.startswith("SPARK_JAVA_OPT_")}
    assert set(play.EXECUTOR) == wanted - numbered


def test_a_job_finds_the_images_jars_in_a_cache_that_may_be_written(
    cluster: dict[str, str],
) -> None:
    for _ in range(2):
        entered(cluster, "pcb-spark")
    cache = Path(cluster["XDG_CACHE_HOME"]) / "pcb_spark"
    assert [path.name for path in (cache / "jars").iterdir()] == ["one", "two"]
    assert not (Path(cluster["PCB_JARS"]) / "brought").exists()
    (cache / "weights.onnx").touch()


def test_anything_else_is_run_as_it_is(cluster: dict[str, str]) -> None:
    assert entered(cluster, "pcb-spark", "ingest", "--set", "a b")[1:] == [
        "", "ingest", "--set", "a b",
    ]  # fmt: skip
