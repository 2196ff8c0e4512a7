"""The jars of conf/spark-defaults.conf, resolved once into a cache for local mode.

On a cluster ``spark-submit --properties-file`` resolves them itself. In local mode asking Ivy at
every start would cost seconds and a network, so the first start fills a folder that is named after
the coordinates, and later ones put its jars on the class path. So do connectors of stores.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pcb_spark.core.errors import ConfigError, EnvironmentFault
from pcb_spark.lake import stores

PACKAGES = "spark.jars.packages"
EXCLUDES = "spark.jars.excludes"
DEFAULT_CACHE = Path("~/.cache/pcb_spark")
_STAMP = "complete"
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
        raise ConfigError(what, got=error, hint="run from a checkout, or name it") from None
    pairs = (line.split(None, 1) for line in lines if line.strip() and line.strip()[0] != "#")
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


def default_properties_file() -> Path:
    """Return conf/spark-defaults.conf of the checkout that this package runs from."""
    return Path(__file__).resolve().parents[2] / "conf" / "spark-defaults.conf"


def resolve(properties: Mapping[str, str], *, cache: Path) -> tuple[Path, ...]:
    """Return the jars that ``properties`` asks for, from the cache or by asking Ivy once.

    Raises
    ------
    EnvironmentFault : the jars are not in the cache and can't be fetched.
    """
    packages, excludes = properties.get(PACKAGES, ""), properties.get(EXCLUDES, "")
    key = hashlib.sha256(f"{packages}\n{excludes}".encode()).hexdigest()[:16]
    home = cache.expanduser() / "jars" / key
    if not (home / _STAMP).exists():
        _fetch(home, packages, excludes)
    return tuple(sorted((home / "jars").glob("*.jar")))


def _fetch(home: Path, packages: str, excludes: str) -> None:
    """Resolve into a folder of this process, then rename: two first starts can't meet."""
    own = home.with_name(f"{home.name}.{os.getpid()}")
    own.mkdir(parents=True, exist_ok=True)
    settings = (f"{PACKAGES}={packages}", f"{EXCLUDES}={excludes}", f"spark.jars.ivy={own}")
    command = [sys.executable, "-c", _RESOLVE, *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not list((own / "jars").glob("*.jar")):
        shutil.rmtree(own, ignore_errors=True)
        what = "jars can't be resolved"
        raise EnvironmentFault(
            what,
            expected=packages,
            got=done.stderr.strip().splitlines()[-1:] or "no jar",
            hint="check the way to Maven Central, then run `make jars`",
        )
    (own / _STAMP).touch()
    try:
        own.rename(home)
    except OSError:
        if not (home / _STAMP).exists():  # a folder that no resolve has finished
            shutil.rmtree(home, ignore_errors=True)
            own.rename(home)
        shutil.rmtree(own, ignore_errors=True)


def with_connectors(
    properties: Mapping[str, str], uris: Iterable[str], *, cache: Path
) -> tuple[Path, ...]:
    """Return the jars of ``properties``, then those of what opens ``uris``; no jar twice."""
    wanted = [properties]
    wanted += [{PACKAGES: c.packages, EXCLUDES: c.excludes} for c in stores.connectors(uris)]
    found: dict[str, Path] = {}
    for each in wanted:
        for path in resolve(each, cache=cache):
            found.setdefault(path.name, path)
    return tuple(found.values())


def main(schemes: Sequence[str] = ()) -> None:
    """Fill the cache, with the connectors of ``schemes``: what ``make jars`` calls."""
    uris = {scheme: f"{scheme}:" for scheme in schemes}
    stores.check(uris, {})
    properties = read_properties(default_properties_file())
    jars = with_connectors(properties, uris.values(), cache=DEFAULT_CACHE)
    sys.stdout.write(f"{len(jars)} jars ready in {jars[-1].parent}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
