"""Signatures and keys are minisign's: what stands here was made with minisign 0.11 of Debian."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pcb_spark.core import signatures
from pcb_spark.core.errors import BundleError, InputError

SECRET = """untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAOuZbpsMbl+Z409h/DMN5VlPuMEaM\
j5VF1kFUcEVkhzq3rproj76pEbjmvdPzBAbyNf3gV4K64Uj/nv/gyRTS3rFVRtk5lb+OAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
PUBLIC = """untrusted comment: minisign public key E6971BC3A65BE63A
RWQ65lumwxuX5rjmvdPzBAbyNf3gV4K64Uj/nv/gyRTS3rFVRtk5lb+O
"""
CONTENT = b"hello board\n"
COMMENT = "pcb-spark edge bundle"
SIGNATURE = """untrusted comment: signature from pcb_spark
RUQ65lumwxuX5rQPkZ2vmS1+fLI3B/Ne6VjcJVbBkyTnPInydEdTPJgDSA5WbWmXGytr74ZUKFQO3nN5b+BA5/o1EcsV5SOSigA=
trusted comment: pcb-spark edge bundle
vAX3si+2UsBqXA/TgrmYLg5HjkDCvEByfN1vhillJ1sua9/iMckYJ04tNMS7Do33t9FR1OywajX4ZMNJAEpTAQ==
"""


@pytest.fixture
def secret(tmp_path: Path) -> signatures.SecretKey:
    (tmp_path / "a.key").write_text(SECRET)
    return signatures.read_secret(tmp_path / "a.key")


@pytest.fixture
def trusted(tmp_path: Path) -> list[signatures.PublicKey]:
    (tmp_path / "a.pub").write_text(PUBLIC)
    return signatures.read_public([tmp_path / "a.pub"])


def check(content: bytes, signature: str, trusted: list[signatures.PublicKey]) -> str:
    return signatures.verify(content, signature.encode(), trusted, where="m")


def test_a_signature_is_minisigns_to_the_last_byte(secret: signatures.SecretKey) -> None:
    assert secret.sign(CONTENT, COMMENT) == SIGNATURE


def test_keys_are_minisigns_to_the_last_byte(secret: signatures.SecretKey) -> None:
    assert secret.text() == SECRET
    assert secret.public.text() == PUBLIC


def test_what_minisign_signed_fits(trusted: list[signatures.PublicKey]) -> None:
    assert check(CONTENT, SIGNATURE, trusted) == COMMENT
    assert check(CONTENT, SIGNATURE.replace("\n", "\r\n"), trusted) == COMMENT


@pytest.mark.parametrize(
    ("content", "signature"),
    [
        (b"hello bored\n", SIGNATURE),
        (CONTENT + b"\n", SIGNATURE),
        (CONTENT, SIGNATURE.replace("RUQ65lumwxuX5rQP", "RUQ65lumwxuX5rQQ")),
        (CONTENT, SIGNATURE.replace("trusted comment: pcb", "trusted comment: PCB")),
        (CONTENT, SIGNATURE.replace("vAX3", "vAX4")),
    ],
    ids=["another text", "a longer one", "another signature", "another comment", "its signature"],
)
def test_what_nobody_signed_is_refused(
    content: bytes, signature: str, trusted: list[signatures.PublicKey]
) -> None:
    with pytest.raises(BundleError, match="is not what the key E6971BC3A65BE63A signed"):
        check(content, signature, trusted)


def test_a_key_that_nobody_trusts_is_named(secret: signatures.SecretKey) -> None:
    others = [signatures.SecretKey.new().public]
    with pytest.raises(BundleError, match=r"(?s)isn't trusted here.*E6971BC3A65BE63A"):
        check(CONTENT, secret.sign(CONTENT, COMMENT), others)
    assert check(CONTENT, secret.sign(CONTENT, ""), [*others, secret.public]) == ""


@pytest.mark.parametrize(
    "signature",
    ["", "no signature", SIGNATURE[:100], SIGNATURE.replace("vAX3", "v*X3"), "\n" * 5, "\xff"],
)
def test_what_is_no_signature_is_refused(
    signature: str, trusted: list[signatures.PublicKey]
) -> None:
    with pytest.raises(BundleError, match="signature"):
        signatures.verify(CONTENT, signature.encode("latin-1"), trusted, where="m")


def test_the_older_algorithm_is_refused(trusted: list[signatures.PublicKey]) -> None:
    older = SIGNATURE.replace("RUQ65", "RWQ65")
    with pytest.raises(BundleError, match="a signature of another kind"):
        check(CONTENT, older, trusted)


def test_a_new_pair_signs_and_only_its_owner_reads_the_secret(tmp_path: Path) -> None:
    public = signatures.write_pair(tmp_path / "plant.key")

    secret = signatures.read_secret(tmp_path / "plant.key")
    assert stat.S_IMODE((tmp_path / "plant.key").stat().st_mode) == 0o600
    assert signatures.read_public([tmp_path]) == [public] == [secret.public]
    assert check(CONTENT, secret.sign(CONTENT, "new"), [public]) == "new"
    assert secret.seed.hex() not in repr(secret)


@pytest.mark.parametrize("there", ["plant.key", "plant.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("old")
    with pytest.raises(InputError, match=rf"{there}"):
        signatures.write_pair(tmp_path / "plant.key")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "old"


def test_a_key_with_a_password_says_how_to_take_it_off(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_text(SECRET.replace("RWQAAEIy", "RWRTY0Iy"))
    with pytest.raises(InputError, match="minisign -C -W"):
        signatures.read_secret(tmp_path / "a.key")


@pytest.mark.parametrize("content", ["", "x", PUBLIC, "untrusted comment: x\n****\n"])
def test_what_is_no_secret_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.key").write_text(content)
    with pytest.raises(InputError, match=r"a\.key"):
        signatures.read_secret(tmp_path / "a.key")
    with pytest.raises(InputError, match="No such file"):
        signatures.read_secret(tmp_path / "no.key")


def test_no_trusted_key_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)no trusted key.*\.pub"):
        signatures.read_public([tmp_path])
    (tmp_path / "a.pub").write_text(SECRET)
    with pytest.raises(InputError, match="no public key"):
        signatures.read_public([tmp_path])
