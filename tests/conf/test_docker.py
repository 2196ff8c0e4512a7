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
    # Verdicts may lie in PostgreSQL, for the review page and for ingest.
    for name, extras in {
        "edge": "edge", "service": "service,postgresql", "spark": "spark,postgresql",
    }.items():  # fmt: skip
        text = (FOLDER / f"{name}.Dockerfile").read_text()
        assert re.search(rf"pip install .*-c constraints\.txt .*'\.\[{extras}\]'", text)


def test_the_services_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # An unknown flag would end it with SystemExit; here nothing lies where it looks.
    assert service.main(words_of(FOLDER / "service.Dockerfile", "CMD")) == 4


def test_the_review_pages_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert service.main(COMPOSE["services"]["review"]["command"]) == 2


def test_the_edge_machines_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCB_EDGE_HOME", str(tmp_path))
    assert edge.main(words_of(FOLDER / "edge.Dockerfile", "CMD")) == 4


@pytest.mark.parametrize("name", ["service", "review", "etl", "models", "mlflow"])
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
