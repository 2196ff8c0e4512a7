"""Where drops and tables may lie: schemes, the connectors that Spark needs for them, and secrets.

Knows no Spark: a wrong place, or a secret in the configuration, is refused before it starts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pcb_spark.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Connector:
    """Maven coordinates of a Hadoop file system; what Spark brings itself is left out."""

    packages: str
    excludes: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A scheme: its connector if it needs one, and whether a folder is renamed in one piece."""

    connector: Connector | None
    renames_folders: bool


_AZURE: Final = Connector(
    "org.apache.hadoop:hadoop-azure:3.3.4",  # with azure-storage 7.0.1, wildfly-openssl, jetty-util
    "com.fasterxml.jackson.core:jackson-core,com.google.guava:guava,org.slf4j:slf4j-api,"
    "commons-codec:commons-codec,commons-logging:commons-logging,"
    "org.apache.httpcomponents:httpclient,org.codehaus.jackson:jackson-mapper-asl,"
    "org.codehaus.jackson:jackson-core-asl,org.apache.hadoop.thirdparty:hadoop-shaded-guava,"
    "com.google.code.findbugs:jsr305",
)
_AWS: Final = Connector("org.apache.hadoop:hadoop-aws:3.3.4")  # with aws-java-sdk-bundle 1.12.262

#: abfs renames folders in one piece only where the account has a hierarchical namespace.
STORES: Final[Mapping[str, Store]] = {
    "file": Store(None, renames_folders=True),
    "hdfs": Store(None, renames_folders=True),
    "wasb": Store(_AZURE, renames_folders=False),
    "wasbs": Store(_AZURE, renames_folders=False),
    "abfs": Store(_AZURE, renames_folders=False),
    "abfss": Store(_AZURE, renames_folders=False),
    "s3a": Store(_AWS, renames_folders=False),
}
#: Files without a scheme are where Hadoop's fs.defaultFS says; locally that is the disk.
DEFAULT: Final = "file"

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_USER_AND_PASSWORD: Final = re.compile(r"(//[^/\s:@]+:)[^/\s@]+@")
_SIGNATURES: Final = re.compile(
    r"(?i)\b((?:sig|AccountKey|SharedAccessSignature|X-Amz-Signature|X-Amz-Security-Token)=)"
    r"[^\s&;,\"']+"
)
_SECRET_KEY: Final = re.compile(
    r"(?i)secret|passw(or)?d(?!-?\.?file)|access\.?key|session\.token|refresh\.token$"
    r"|fixed\.token|azure\.account\.key\.|azure\.sas\.(?!token\.provider)|encryption\.key"
)
_SECRET_VARIABLE: Final = re.compile(r"(?i)secret|passw(or)?d|token|key|\bsas\b|_sas")
_FROM_ENVIRONMENT: Final = re.compile(r"\$\{env\.\w+\}")
#: Shorter values of variables stand in harmless words too.
_SHORTEST_SECRET: Final = 8
_HIDDEN: Final = "***"
_CREDENTIALS: Final = (
    "use an identity of the machine (managed identity, instance role), a credential provider "
    "(spark.hadoop.hadoop.security.credential.provider.path), or a variable of the environment: "
    '"${env.NAME}" as the value'
)


def scheme(uri: str) -> str:
    """Return the scheme of ``uri`` in small letters."""
    found = _SCHEME.match(uri)
    return found.group(1).lower() if found else DEFAULT


def connectors(uris: Iterable[str]) -> list[Connector]:
    """Return what Spark needs to open ``uris``, each connector once."""
    stores = (STORES[scheme(uri)] for uri in uris)
    return list(dict.fromkeys(store.connector for store in stores if store.connector))


def check(uris: Mapping[str, str], settings: Mapping[str, str]) -> None:
    """Refuse places that can't be opened, and secrets where they would be read by others.

    Parameters
    ----------
    uris : by the key of the configuration that holds them.
    settings : those of Spark, by their keys.

    Raises
    ------
    ConfigError : it never repeats the secret.
    """
    for key, uri in uris.items():
        _check_place(key, uri)
    for name, value in settings.items():
        if _SECRET_KEY.search(name) and not _FROM_ENVIRONMENT.fullmatch(value):
            raise ConfigError(f"spark.conf holds a secret: {name}", hint=_CREDENTIALS)


def refuse_password(key: str, uri: str) -> None:
    """Refuse a user and a password in a URI of the configuration.

    Raises
    ------
    ConfigError : it never repeats them.
    """
    if _USER_AND_PASSWORD.search(uri):
        raise ConfigError(f"{key} holds a user and a password", hint=_CREDENTIALS)


def _check_place(key: str, uri: str) -> None:
    refuse_password(key, uri)
    found = scheme(uri)
    if found in STORES:
        return
    hint = "say s3a:// in place of it" if found in ("s3", "s3n") else "see docs/how-to/stores.md"
    raise ConfigError(
        f"{key} lies on {found}:, which no connector opens",
        expected=", ".join(f"{name}:" for name in STORES),
        hint=hint,
    )


def redacted(text: str) -> str:
    """Hide passwords in URIs, signatures, and values of variables that are named like secrets."""
    text = _USER_AND_PASSWORD.sub(rf"\1{_HIDDEN}@", text)
    text = _SIGNATURES.sub(rf"\1{_HIDDEN}", text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and value in text and _SECRET_VARIABLE.search(name):
            text = text.replace(value, _HIDDEN)
    return text
