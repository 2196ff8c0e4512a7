"""The jars of spark-defaults.conf, resolved once into a cache for local mode.

On a cluster ``spark-submit --properties-file`` resolves them itself. In local mode asking Ivy at
every start would cost seconds and a network, so the first start fills a folder that is named after
the coordinates, and later ones put its jars on the class path. So do connectors of stores.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from pcb_spark.core.errors import ConfigError, EnvironmentFault
from pcb_spark.lake import folders, ivy, stores

log = logging.getLogger(__name__)

PACKAGES: Final = "spark.jars.packages"
EXCLUDES: Final = "spark.jars.excludes"
#: Where Ivy looks besides, or in place of, Maven Central: a mirror of the plant, for example.
SOURCES: Final = ("spark.jars.ivySettings", "spark.jars.repositories")
#: Where the java launcher, or Spark before it, takes options from besides the command line.
OPTION_VARIABLES: Final = (
    "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS",
)  # fmt: skip

_STAMP = "complete"
_TRIES = 3
#: An option as it stands there, with its quotes.
_OPTION = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_OF_THE_WAY = re.compile(
    r"""['"]?-D['"]?(?:https?\.|socksProxy|java\.net\.|javax\.net\.ssl\.|jdk\.(?:http|https|tls)\."""
    r"""|java\.security\.|sun\.net\.|sun\.security\.|java\.io\.tmpdir=)"""
)
_RESOLVE = """
import sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
for pair in sys.argv[1:]:
    builder = builder.config(*pair.split("=", 1))
builder.getOrCreate().stop()
"""


def read_properties(path: Path) -> dict[str, str]:
    """Read a Spark properties file: ``key value`` a line, ``#`` starts a comment line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        what = f"no Spark properties file {path}"
        raise ConfigError(what, got=error, hint="install pcb_spark again") from None
    pairs = (line.split(None, 1) for line in lines if line.strip() and line.strip()[0] != "#")
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


def default_properties_file() -> Path:
    """Return Spark's settings that come with the package."""
    return folders.conf_folder() / "spark-defaults.conf"


def resolve(properties: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the jars that ``properties`` asks for, from the cache or by asking Ivy once.

    Where it asks for none there are none.

    Raises
    ------
    EnvironmentFault : the jars are not in the cache and can't be fetched.
    """
    if not properties.get(PACKAGES):
        return ()
    if not fetched(properties):
        _fetch(_home(properties), properties)
    return tuple(sorted((_home(properties) / "jars").glob("*.jar")))


def fetched(properties: Mapping[str, str]) -> bool:
    """Whether the jars that ``properties`` asks for are in the cache."""
    return (_home(properties) / _STAMP).exists()


def _home(properties: Mapping[str, str]) -> Path:
    packages, excludes = properties.get(PACKAGES, ""), properties.get(EXCLUDES, "")
    key = hashlib.sha256(f"{packages}\n{excludes}".encode()).hexdigest()[:16]
    return folders.cache_folder() / "jars" / key


def with_connectors(properties: Mapping[str, str], uris: Iterable[str]) -> tuple[Path, ...]:
    """Return the jars of ``properties``, then those of what opens ``uris``; no jar twice."""
    sources = {key: properties[key] for key in SOURCES if key in properties}
    connectors = ({PACKAGES: c.packages, EXCLUDES: c.excludes} for c in stores.connectors(uris))
    found: dict[str, Path] = {}
    for each in (properties, *(sources | connector for connector in connectors)):
        for path in resolve(each):
            found.setdefault(path.name, path)
    return tuple(found.values())


def _fetch(home: Path, properties: Mapping[str, str]) -> None:
    """Resolve into a folder of this process, then rename: two first starts can't meet."""
    own = home.with_name(f"{home.name}.{os.getpid()}")
    if folders.offline():
        raise _not_fetched(properties, f"none in {home.parent}, and {folders.OFFLINE} is set")
    log.info("fetch jars into %s: %s", home, properties[PACKAGES])
    try:
        own.mkdir(parents=True, exist_ok=True)
        done = _ask(own, properties)
        if not _has_jars(done, own):
            raise _not_fetched(properties, ivy.reason(done.stderr) or "no jar")
        (own / _STAMP).touch()
        _rename(own, home)
    except OSError as error:
        what = f"jars can't be kept in {home.parent}"
        hint = "make it writable, or name another folder for caches with XDG_CACHE_HOME"
        raise EnvironmentFault(what, got=error.strerror or error, hint=hint) from None
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _ask(own: Path, properties: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Let a Spark of its own ask Ivy, and ask again where a server or the way to it failed."""
    asked = {PACKAGES: "", EXCLUDES: "", "spark.jars.ivy": str(own)}
    asked |= {key: properties[key] for key in (PACKAGES, EXCLUDES, *SOURCES) if key in properties}
    command = [sys.executable, "-c", _RESOLVE, *(f"{key}={value}" for key, value in asked.items())]
    retrying = Retrying(
        retry=retry_if_result(lambda done: not _has_jars(done, own) and ivy.may_pass(done.stderr)),
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=2),
        before_sleep=_log_retry,
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    found: subprocess.CompletedProcess[str] = retrying(
        subprocess.run, command, env=_environment(), capture_output=True, text=True, check=False
    )
    return found


def _has_jars(done: subprocess.CompletedProcess[str], own: Path) -> bool:
    return done.returncode == 0 and any((own / "jars").glob("*.jar"))


def _log_retry(state: RetryCallState) -> None:
    done = state.outcome.result() if state.outcome else None
    log.warning(
        "jars, try %d of %d: %s; again in %.0f s",
        state.attempt_number, _TRIES, ivy.reason(done.stderr) if done else "", state.upcoming_sleep,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """Return this environment with few of its Java options: the way to a server, temporary files.

    Options are meant for the job's JVM, and would harm one that fetches: a hosts file that knows
    the test's servers only, an agent whose port the job then finds taken, a small heap. Proxies and
    certificates are given in the same variables, and without them nothing could be fetched.
    """
    kept = dict(os.environ)
    for name in OPTION_VARIABLES:
        options = _OPTION.findall(kept.pop(name, ""))
        if of_the_way := [option for option in options if _OF_THE_WAY.match(option)]:
            kept[name] = " ".join(of_the_way)
    return kept


def _rename(own: Path, home: Path) -> None:
    try:
        own.rename(home)
    except OSError:
        if not (home / _STAMP).exists():  # a folder that no resolve has finished
            shutil.rmtree(home, ignore_errors=True)
            own.rename(home)


def _not_fetched(properties: Mapping[str, str], got: str) -> EnvironmentFault:
    return EnvironmentFault(
        "jars can't be resolved",
        expected=properties.get(PACKAGES, ""),
        got=got,
        hint="check the way to Maven Central (a proxy: -Dhttps.proxyHost in JAVA_TOOL_OPTIONS, a "
        "mirror: spark.jars.ivySettings in spark.conf), then run `pcb-spark jars`",
    )
