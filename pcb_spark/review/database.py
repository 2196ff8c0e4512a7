"""Opening the verdict store: SQLite unless a URL says PostgreSQL.

What was acknowledged has to be there after a power cut: SQLite runs in WAL mode with
``synchronous=FULL``, which waits for the disk at every commit, and PostgreSQL waits by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import alembic.command
import alembic.config
import sqlalchemy as sa
from sqlalchemy import exc

from pcb_spark.core.errors import ConfigError, EnvironmentFault, StoreUnreachable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_SQLITE: Final = "sqlite"
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
#: Execution option of transactions that change nothing: SQLite lets them pass beside a writer.
READS: Final = "reads"
_BUSY_SECONDS: Final = 30.0
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_EXAMPLES: Final = "sqlite:////var/lib/pcb/verdicts.db or postgresql://host/database"


def open_store(url: str) -> Engine:
    """Open a store, make its tables, and bring those of an earlier version up to date.

    Raises
    ------
    ConfigError : no URL of such a store.
    EnvironmentFault : its driver isn't installed.
    StoreUnreachable : it doesn't answer.
    """
    engine = _engine(url)
    with reaching(engine), engine.connect() as connection:
        if engine.dialect.name != _SQLITE:
            connection.exec_driver_sql("SELECT pg_advisory_lock(7265766965)")
        config = alembic.config.Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
        connection.commit()
    return engine


def connect(url: str) -> Engine:
    """Open a store that is there already.

    Raises
    ------
    ConfigError, EnvironmentFault : as ``open_store``.
    StoreUnreachable : a SQLite file that isn't there.
    """
    engine = _engine(url)
    file = engine.url.database or ""
    if engine.dialect.name == _SQLITE and not Path(file).exists():
        hint = "start `pcb-serve review` once, which makes it, or correct the URL"
        raise StoreUnreachable(f"there is no verdict store {file}", hint=hint)
    return engine


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise ConfigError(
            "the URL of the verdict store can't be read", expected=_EXAMPLES, got=_redacted(url)
        ) from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() not in (_SQLITE, "postgresql"):
        raise ConfigError(
            "this kind of verdict store isn't known", expected=_EXAMPLES,
            got=parsed.get_backend_name(),
        )  # fmt: skip
    try:
        if parsed.get_backend_name() == _SQLITE:
            return _sqlite(parsed)
        return sa.create_engine(parsed, pool_pre_ping=True)
    except ImportError as error:
        raise EnvironmentFault(
            "the driver of the verdict store is missing", got=error,
            hint="pip install 'pcb-spark[postgresql]'",
        ) from None  # fmt: skip


@contextlib.contextmanager
def reaching(engine: Engine) -> Iterator[None]:
    """Tell a store that doesn't answer from other faults.

    Raises
    ------
    StoreUnreachable : it doesn't.
    """
    try:
        yield
    except exc.OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise StoreUnreachable(
            f"the verdict store {where} doesn't answer", got=error.orig,
            hint="see that its folder or server is there, and start again",
        ) from None  # fmt: skip


def reading(engine: Engine) -> Connection:
    """Begin to read; a context manager."""
    return engine.connect().execution_options(**{READS: True})


def returning_one(connection: Connection, statement: Any) -> dict[str, Any] | None:
    """Run a query, and give its first row."""
    row = connection.execute(statement).mappings().first()
    return None if row is None else dict(row)


def _sqlite(url: sa.URL) -> Engine:
    """One writer at a time, who says so when it begins and not halfway through."""
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _redacted(url: str) -> str:
    """A URL that can't be parsed may still hold a password."""
    return url.rpartition("@")[2]
