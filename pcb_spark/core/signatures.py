"""Who made a file: ed25519 signatures and keys in the files of minisign 0.10 and later.

``minisign -V -p plant.pub -m manifest.json`` checks what is signed here, and keys that it made
without a password sign here. What is signed is the BLAKE2b hash of the content (algorithm ``ED``);
the older way, which reads all of it, is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core.errors import BundleError, EnvironmentFault, InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SUFFIX: Final = ".minisig"
PUBLIC_SUFFIX: Final = ".pub"
#: No signature file is longer.
MOST_BYTES: Final = 4096

_KEY, _PREHASHED, _NO_PASSWORD, _CHECKSUM = b"Ed", b"ED", b"\0\0", b"B2"
_ID, _PUBLIC, _SIGNED = 8, 32, 64
_SALT_AND_LIMITS, _SECRET = 48, 158
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key whose signatures are believed: its id, 8 bytes, and the point, 32."""

    key_id: bytes
    point: bytes

    @property
    def name(self) -> str:
        """The id as minisign writes it."""
        return _shown(self.key_id)

    def text(self) -> str:
        """Give the file that ``read_public`` reads."""
        encoded = base64.b64encode(_KEY + self.key_id + self.point).decode()
        return f"{_UNTRUSTED}minisign public key {self.name}\n{encoded}\n"


@dataclass(frozen=True, slots=True, repr=False)
class SecretKey:
    """A key that signs; its seed, 32 bytes, never shows in a message or a log."""

    key_id: bytes
    seed: bytes

    @classmethod
    def new(cls) -> SecretKey:
        """Make one up."""
        return cls(secrets.token_bytes(_ID), secrets.token_bytes(32))

    @property
    def public(self) -> PublicKey:
        """What others check its signatures by."""
        return PublicKey(self.key_id, self._private().public_key().public_bytes_raw())

    def sign(self, content: bytes, comment: str) -> str:
        """Give the signature file of ``content``.

        Parameters
        ----------
        comment : one line that the signature vouches for as well.
        """
        own = self._private()
        signed = own.sign(_hash(content))
        also = own.sign(signed + comment.encode())
        first = base64.b64encode(_PREHASHED + self.key_id + signed).decode()
        second = base64.b64encode(also).decode()
        return f"{_UNTRUSTED}signature from pcb_spark\n{first}\n{_TRUSTED}{comment}\n{second}\n"

    def text(self) -> str:
        """Give the file that ``read_secret`` reads; it has no password, so its mode protects it."""
        head = _KEY + _NO_PASSWORD + _CHECKSUM + bytes(_SALT_AND_LIMITS)
        content = head + self.key_id + self.seed + self.public.point + bytes(32)
        encoded = base64.b64encode(content).decode()
        return f"{_UNTRUSTED}minisign encrypted secret key\n{encoded}\n"

    def _private(self) -> Ed25519PrivateKey:
        key: Ed25519PrivateKey = _ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)
        return key


def write_pair(secret: Path) -> PublicKey:
    """Make a key, and write it to ``secret`` and the public half beside it, as ``.pub``.

    Raises
    ------
    InputError : one of both is there already, or can't be written.
    """
    key = SecretKey.new()
    public = secret.with_suffix(PUBLIC_SUFFIX)
    try:
        if public.exists():
            raise FileExistsError(17, "it is there already", str(public))
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(key.text())
        public.write_text(key.public.text(), encoding="utf-8")
    except OSError as error:
        what = f"no key can be written to {error.filename}"
        hint = "name another file; an old key is kept, since machines trust it"
        raise InputError(what, got=error.strerror, hint=hint) from None
    return key.public


def read_secret(path: Path) -> SecretKey:
    """Read a secret key without a password.

    Raises
    ------
    InputError : there is none, or it has a password.
    """
    hint = "name the file that `pcb-spark key new` wrote"
    content = _decoded(path, "secret key", hint)
    if len(content) != _SECRET or content[:2] != _KEY:
        raise InputError(f"{path} is no secret key of minisign", hint=hint)
    if content[2:4] != _NO_PASSWORD:
        what = f"the secret key {path} has a password"
        raise InputError(what, hint=f"take it off with `minisign -C -W -s {path.name}`")
    begin = 6 + _SALT_AND_LIMITS
    key_id, rest = content[begin : begin + _ID], content[begin + _ID :]
    return SecretKey(key_id, rest[:32])


def read_public(paths: Iterable[Path]) -> list[PublicKey]:
    """Read the keys that are trusted: files, and folders of files that end in ``.pub``.

    Raises
    ------
    InputError : a file is no public key, or there is none at all.
    """
    hint = "copy the .pub file of the plant's key there"
    named = list(paths)
    files = [file for path in named for file in _key_files(path)]
    if not files:
        what = f"no trusted key in {', '.join(map(str, named)) or 'any place'}"
        raise InputError(what, hint=hint)
    keys = []
    for file in files:
        content = _decoded(file, "public key", hint)
        if len(content) != len(_KEY) + _ID + _PUBLIC or content[:2] != _KEY:
            raise InputError(f"{file} is no public key of minisign", hint=hint)
        keys.append(PublicKey(content[2:10], content[10:]))
    return keys


def verify(content: bytes, signature: bytes, trusted: Sequence[PublicKey], *, where: str) -> str:
    """Check that one of the trusted keys signed ``content``; answer the comment it vouches for.

    Parameters
    ----------
    where : what messages call the signed file.

    Raises
    ------
    BundleError : no signature file, a key that nobody trusts, or a signature of something else.
    """
    hint = "fetch it again from where it was made, or trust the key it was signed with"
    key_id, signed, comment, also = _parts(signature, where, hint)
    known = {key.key_id: key for key in trusted}
    if key_id not in known:
        names = ", ".join(sorted(key.name for key in trusted)) or "none"
        what = f"{where} is signed with a key that isn't trusted here"
        raise BundleError(what, expected=names, got=_shown(key_id), hint=hint)
    point = known[key_id].point
    fits = _fits(point, signed, _hash(content)) and _fits(point, also, signed + comment.encode())
    if not fits:
        what = f"{where} is not what the key {_shown(key_id)} signed"
        raise BundleError(what, expected="a signature that fits", got="one that doesn't", hint=hint)
    return comment


def _parts(signature: bytes, where: str, hint: str) -> tuple[bytes, bytes, str, bytes]:
    """Key id, signature, trusted comment, and the signature of both."""
    try:
        lines = signature.decode("utf-8").split("\n")
        first = base64.b64decode(lines[1].strip(), validate=True)
        also = base64.b64decode(lines[3].strip(), validate=True)
        comment = lines[2].rstrip("\r").removeprefix(_TRUSTED)
    except (ValueError, IndexError, binascii.Error) as error:
        what = f"{where} has no signature file of minisign"
        raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None
    whole = len(first) == 2 + _ID + _SIGNED and len(also) == _SIGNED
    if not whole or first[:2] != _PREHASHED or not lines[2].startswith(_TRUSTED):
        what = f"{where} has a signature of another kind"
        expected = "ed25519 over the content's hash, as minisign 0.10 and later write it"
        raise BundleError(what, expected=expected, hint=hint)
    return first[2:10], first[10:], comment, also


def _fits(point: bytes, signed: bytes, content: bytes) -> bool:
    ed25519 = _ed25519()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(point).verify(signed, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ed25519() -> Any:
    """Give the library when it is asked for: what scores its own training's bundle needs none."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        what = "signatures can't be checked or made on this machine"
        hint = "pip install 'pcb-spark[edge]'"
        raise EnvironmentFault(what, got=str(error), hint=hint) from None
    return ed25519


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content).digest()


def _shown(key_id: bytes) -> str:
    return key_id[::-1].hex().upper()


def _key_files(path: Path) -> list[Path]:
    return sorted(path.glob(f"*{PUBLIC_SUFFIX}")) if path.is_dir() else [path]


def _decoded(path: Path, what: str, hint: str) -> bytes:
    """The one line of a key file that isn't a comment."""
    try:
        with path.open("rb") as file:
            lines = file.read(MOST_BYTES).decode("utf-8").splitlines()
        return base64.b64decode(lines[-1 if len(lines) == 1 else 1].strip(), validate=True)
    except (OSError, ValueError, IndexError, binascii.Error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the {what} {path} can't be read", got=said, hint=hint) from None
