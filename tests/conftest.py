"""Fixtures that every test may use: one Spark session, and the shared data where they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import folders, session
from pcb_spark.pipeline import config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


#: Folders whose tests take longest, to be begun with.
_LONGEST = ("tests/store/", "tests/faults/", "tests/cluster/")

#: What Java adds to the options of its command line.
_JAVA = "JDK_JAVA_OPTIONS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones: ``make test`` deals files out to two processes."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One small session for all tests of a process; whatever uses it must leave it running."""
    overrides = [
        'spark.master="local[2]"',
        'spark.driver_memory="3g"',
        'spark.conf={"spark.sql.shuffle.partitions"="2", "spark.sql.adaptive.enabled"="false"}',
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(_JAVA, raising=False)
        spark = session.get(config.load(None, overrides), app_name="tests", lasts=True)
    yield spark
    spark.stop()


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Fetch nothing in a test, whose network may be a test's too: ``make test`` has before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(folders.OFFLINE, "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def short_lived_java() -> Iterator[None]:
    """Spare processes that tests start the compiler for what runs long: half of their CPU time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_JAVA, "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Undo ``logs.configure``, which takes the package's log away from pytest."""
    logger = logging.getLogger("pcb_spark")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Data and weights that are not part of the project; PCB_SHARED names another place.

    Not everybody has them, hence the skip; who names a place has them.
    """
    named = os.environ.get("PCB_SHARED")
    folder = Path(named or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "weights").is_dir():
        (pytest.fail if named else pytest.skip)(f"no shared data in {folder}")
    return folder
