"""What conf/docker/ builds and starts, as linters and as our own programs understand it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pcb_spark.serving import edge, service

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "conf" / "docker"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))
ON_DEBIAN = [path for path in DOCKERFILES if path.name != "etl.Dockerfile"]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())


def said(*words: str | Path) -> tuple[int, str]:
    """The exit code of a program of this environment, and what it printed."""
    program = Path(sys.executable).with_name(str(words[0]))
    done = subprocess.run(
        [str(word) for word in (program, *words[1:])], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def last_stage(path: Path) -> str:
    return path.read_text().rpartition("\nFROM ")[2]


def words_of(path: Path, instruction: str) -> list[str]:
    """The words of CMD or ENTRYPOINT, in the form that needs no shell."""
    joined = path.read_text().replace("\\\n", " ")
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", joined, re.MULTILINE)
    return list(json.loads(found))


def test_hadolint_finds_nothing() -> None:
    assert said("hadolint", "--config", FOLDER / "hadolint.yaml", *DOCKERFILES) == (0, "")


def test_compose_knows_every_field() -> None:
    words = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    assert said(*words, FOLDER / "compose.yaml") == (0, "ok -- validation done\n")


@pytest.mark.parametrize("path", ON_DEBIAN, ids=lambda path: path.stem)
def test_an_image_is_built_apart_from_a_base_that_can_be_named(path: Path) -> None:
    text = path.read_text()
    assert text.count("\nFROM ${BASE}") == 2
    assert re.search(r"^ARG BASE=\S+:\S+$", text, re.MULTILINE)


@pytest.mark.parametrize("path", ON_DEBIAN, ids=lambda path: path.stem)
def test_an_image_isnt_roots_and_says_whether_it_is_well(path: Path) -> None:
    assert re.search(r"^USER 1000:1000$", last_stage(path), re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last_stage(path), re.MULTILINE)


@pytest.mark.parametrize("path", ON_DEBIAN, ids=lambda path: path.stem)
def test_nothing_that_a_network_asks_for_stays_in_an_image(path: Path) -> None:
    assert not re.search("PIP_|JAVA_TOOL_OPTIONS", last_stage(path))


def test_a_stage_installs_what_constraints_pin() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    (version,) = re.findall(r" mlflow==(\S+)", (FOLDER / "mlflow.Dockerfile").read_text())
    assert version == pins["mlflow-skinny"]
    for name in ("edge", "service", "spark"):
        text = (FOLDER / f"{name}.Dockerfile").read_text()
        assert re.search(rf"pip install .*-c constraints\.txt .*'\.\[{name}\]'", text)


def test_the_services_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # An unknown flag would end it with SystemExit; here nothing lies where it looks.
    assert service.main(words_of(FOLDER / "service.Dockerfile", "CMD")) == 4


def test_the_edge_machines_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCB_EDGE_HOME", str(tmp_path))
    assert edge.main(words_of(FOLDER / "edge.Dockerfile", "CMD")) == 4


@pytest.mark.parametrize("name", ["service", "etl", "models", "mlflow"])
def test_compose_starts_our_images_restricted(name: str) -> None:
    started = COMPOSE["services"][name]
    assert started["user"] == "1000:1000"
    assert started["read_only"]
    assert started["cap_drop"] == ["ALL"]


def test_compose_holds_no_secret() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    named = re.findall(r"(?:PASSWORD|KEY|ACCOUNTS): (.*)", text)
    assert named
    assert [value for value in named if "${" not in value] == []


@pytest.mark.skipif(NGINX is None, reason="nginx isn't on this machine")
def test_nginx_understands_what_ends_tls(tmp_path: Path) -> None:
    text = (FOLDER / "tls.conf").read_text()
    (tmp_path / "tls.conf").write_text(text.replace("/tmp/", f"{tmp_path}/"))
    (tmp_path / "tls").mkdir()
    certificate = tmp_path / "tls" / "tls.crt", tmp_path / "tls" / "tls.key"
    for path, content in zip(certificate, self_signed(), strict=True):
        path.write_bytes(content)
    command = [str(NGINX), "-t", "-q", "-c", str(tmp_path / "tls.conf"), "-g", "daemon off;"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def self_signed() -> tuple[bytes, bytes]:
    """A certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    unlocked = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return signed.public_bytes(pem), key.private_bytes(pem, form, unlocked)


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
    command = ["sh", str(FOLDER / "entrypoint"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def jars(cluster: dict[str, str]) -> str:
    return "{0}/one/jars/*:{0}/two/jars/*".format(cluster["PCB_JARS"])


def test_kubernetes_starts_a_driver(cluster: dict[str, str]) -> None:
    cluster["SPARK_DRIVER_BIND_ADDRESS"] = "10.1.0.7"
    words = ["--class", "org.apache.spark.deploy.PythonRunner", "local:///opt/x.py", "--set", "a b"]
    assert entered(cluster, "driver", *words) == [
        f"{cluster['SPARK_HOME']}/bin/spark-submit", jars(cluster),
        "--conf", "spark.driver.bindAddress=10.1.0.7", "--deploy-mode", "client", *words,
    ]  # fmt: skip


def test_kubernetes_starts_an_executor(cluster: dict[str, str]) -> None:
    given = {
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078", "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "4", "SPARK_EXECUTOR_MEMORY": "4g",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "10.1.0.8", "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "score-3", "SPARK_JAVA_OPT_0": "-Da=$(b) c",
        "SPARK_JAVA_OPT_1": "--add-opens=java.base/java.lang=ALL-UNNAMED",
    }  # fmt: skip
    home = cluster["SPARK_HOME"]
    assert entered(cluster | given, "executor")[2:] == [
        "-Xms4g", "-Xmx4g", "-Da=$(b) c", "--add-opens=java.base/java.lang=ALL-UNNAMED",
        "-cp", f"{home}/conf:{home}/jars/*:{jars(cluster)}",
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        "--driver-url", "spark://CoarseGrainedScheduler@driver:7078", "--executor-id", "3",
        "--cores", "4", "--app-id", "spark-1", "--hostname", "10.1.0.8",
        "--resourceProfileId", "0", "--podName", "score-3",
    ]  # fmt: skip


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
