"""Real stores on loopback, each a process with a free port: Azurite, moto's S3, and HDFS.

``make stores`` installs the first two into ``.stores`` and, by running this module, fetches the
jars of HDFS and of the connectors: a server's environment is not one to fetch in. So it does for
Spark Connect's server.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from pcb_spark.lake import folders, jars, session
from pcb_spark.pipeline import config

HOME = Path(__file__).resolve().parent.parent / ".stores"
#: Planted where credentials belong, to be looked for where they don't.
AZURE_KEY = base64.b64encode(b"planted-key-of-the-azure-account").decode()
S3_SECRET = "planted-secret-of-the-s3-account"
SECRETS = (AZURE_KEY, S3_SECRET)

_LOOPBACK = "127.0.0.1"
_DEADLINE = 60.0
_MINICLUSTER = {
    jars.PACKAGES: "org.apache.hadoop:hadoop-client-minicluster:3.3.4",
    # pyspark has these.
    jars.EXCLUDES: "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,"
    "org.xerial.snappy:snappy-java,org.slf4j:slf4j-api,com.google.code.findbugs:jsr305,"
    "commons-logging:commons-logging",
}
#: The newest one that Maven Central has for Spark 3.5.
_CONNECT = {jars.PACKAGES: "org.apache.spark:spark-connect_2.12:3.5.7"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running store: a folder on it, Spark's settings for it, and the environment they need."""

    root: str
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[Server]:
    """Azure Blob Storage, under a host name as in production: the account is its first label."""
    port, hosts = _free_port(), folder / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    host = f"pcb.blob.localhost:{port}"
    names = f"localhost {socket.gethostname()} pcb.blob.localhost"
    hosts.write_text(f"{_LOOPBACK} {names}\n", encoding="utf-8")
    command = [
        str(HOME / "node_modules" / ".bin" / "azurite-blob"), "--silent", "--loose",
        "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", _LOOPBACK,
        "--blobPort", str(port), "--location", str(folder / "data"),
    ]  # fmt: skip
    with _running(command, folder / "azurite.log", {"AZURITE_ACCOUNTS": f"pcb:{AZURE_KEY}"}) as log:
        _wait_for(lambda: _answers(port), log)
        yield Server(
            root=f"wasb://pcb@{host}/plant",
            settings={f"spark.hadoop.fs.azure.account.key.{host}": "${env.PCB_STORAGE_ACCOUNT}"},
            environment={
                "PCB_STORAGE_ACCOUNT": AZURE_KEY,
                "JAVA_TOOL_OPTIONS": f"-Djdk.net.hosts.file={hosts}",
            },
        )


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Server]:
    """S3, by moto's server."""
    port = _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(HOME / "moto" / "bin" / "moto_server"), "-H", _LOOPBACK, "-p", str(port)]
    with _running(command, folder / "moto.log", {}) as log:
        _wait_for(lambda: _answers(port), log)
        url = f"http://{_LOOPBACK}:{port}"
        request = urllib.request.Request(f"{url}/pcb", method="PUT")
        _OPENER.open(request, timeout=10).close()
        yield Server(
            root="s3a://pcb/plant",
            settings={
                "spark.hadoop.fs.s3a.endpoint": url,
                "spark.hadoop.fs.s3a.path.style.access": "true",
            },
            environment={"AWS_ACCESS_KEY_ID": "pcb", "AWS_SECRET_ACCESS_KEY": S3_SECRET},
        )


@contextlib.contextmanager
def hdfs(folder: Path) -> Iterator[Server]:
    """A namenode and a datanode in one JVM."""
    folder.mkdir(parents=True, exist_ok=True)
    own = jars.resolve(_MINICLUSTER)
    class_path = f"{own[0].parent}/*:{Path(pyspark.__file__).parent}/jars/*"
    log4j = folders.conf_folder() / "log4j2.properties"
    details = folder / "details.json"
    command = [
        "java", "-cp", class_path, f"-Dlog4j2.configurationFile={log4j}",
        "org.apache.hadoop.test.MiniDFSClusterManager", "-format", "-datanodes", "1",
        "-writeDetails", str(details),
    ]  # fmt: skip
    with _running(command, folder / "hdfs.log", {}) as log:
        _wait_for(lambda: details.is_file() and details.stat().st_size > 0, log)
        port = json.loads(details.read_text(encoding="utf-8"))["namenode_port"]
        yield Server(root=f"hdfs://localhost:{port}/plant")


@contextlib.contextmanager
def connect(folder: Path) -> Iterator[str]:
    """Spark Connect on one core, with Spark's own jars and no SynapseML: its address."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    settings = {
        "spark.master": "local[1]", "spark.driver.memory": "1g", "spark.ui.enabled": "false",
        "spark.driver.host": "localhost", "spark.driver.bindAddress": _LOOPBACK,
        "spark.connect.grpc.binding.port": str(port), "spark.sql.shuffle.partitions": "1",
    }  # fmt: skip
    home, own = Path(pyspark.__file__).parent, jars.resolve(_CONNECT)
    command = [
        str(home / "bin" / "spark-submit"),
        *(word for pair in settings.items() for word in ("--conf", "=".join(pair))),
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal",
    ]  # fmt: skip
    environment = {
        "SPARK_HOME": str(home), "SPARK_DIST_CLASSPATH": f"{own[0].parent}/*",
        "PYSPARK_PYTHON": sys.executable,
    }  # fmt: skip
    with _running(command, folder / "connect.log", environment) as log:
        _wait_for(lambda: _listens(port), log)
        yield f"sc://{_LOOPBACK}:{port}"


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Server]:
    """Local files, to compare with."""
    yield Server(root=str(folder / "plant"))


#: By name, in the order in which they are shown.
SERVERS = {"file": disk, "wasb": azurite, "s3a": s3, "hdfs": hdfs}


def prepare() -> None:
    """Fetch the jars of all servers and connectors into the cache."""
    session.prepare(config.load(None), [f"{scheme}:" for scheme in SERVERS])
    jars.resolve(_MINICLUSTER)
    jars.resolve(_CONNECT)


#: Proxies are for the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        _OPENER.open(f"http://{_LOOPBACK}:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # it speaks HTTP, and wants credentials
    except OSError:
        return False
    return True


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_LOOPBACK, port), timeout=5):
        return True
    return False


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Run a server in a process group of its own, below the folder of its log, and end it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=dict(os.environ) | dict(environment), stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not ready():
        if time.monotonic() > deadline:
            what = f"no answer after {_DEADLINE:.0f} s\n{log.read_text(errors='replace')[-2000:]}"
            raise TimeoutError(what)
        time.sleep(0.1)


if __name__ == "__main__":
    prepare()
