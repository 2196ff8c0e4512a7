"""A PostgreSQL server for a run or a test: made in a folder, and killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from sqlalchemy import exc

from pcb_spark.review import database

_INITDB: Final = "initdb"
_POSTGRES: Final = "postgres"
#: Where Debian has them, the newest last.
_DEBIAN: Final = Path("/usr/lib/postgresql")
_DEADLINE: Final = 60.0


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where there is none."""
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda each: float(each.parent.name))
    on_the_path = shutil.which(_INITDB)
    folders = [*versions, *([Path(on_the_path).resolve().parent] if on_the_path else [])]
    whole = [each for each in folders if (each / _INITDB).exists() and (each / _POSTGRES).exists()]
    return whole[-1] if whole else None


class Postgres:
    """A PostgreSQL server of its own on loopback; where we are root, it runs as ``postgres``.

    Raises
    ------
    RuntimeError : there is none on this machine.
    """

    def __init__(self, folder: Path) -> None:
        found = programs()
        if found is None:
            raise RuntimeError("no PostgreSQL found: apt-get install postgresql")
        self._programs = found
        self._data = folder / "postgres"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"postgresql://plant@127.0.0.1:{self._port}/postgres"
        folder.chmod(0o755)
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(self._data, "postgres", "postgres")
        making = ["--no-sync", "--auth", "trust", "--username", "plant", "-D", str(self._data)]
        command = _as_nobody([str(self._programs / _INITDB), *making])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers; it may have to wait for what was killed."""
        end = time.monotonic() + _DEADLINE
        while not self._answers():
            if time.monotonic() > end:
                raise TimeoutError("PostgreSQL doesn't answer")
            if self._server is None or self._server.poll() is not None:
                self._server = self._started()
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill the server and all that it started, as a power cut would."""
        if self._server is None:
            return
        listed = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text()
        for process in (self._server.pid, *map(int, listed.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._server.wait()
        self._server = None
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _started(self) -> subprocess.Popen[bytes]:
        flags = ["-D", str(self._data), "-p", str(self._port), "-h", "127.0.0.1", "-k", ""]
        command = _as_nobody([str(self._programs / _POSTGRES), *flags])
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def _answers(self) -> bool:
        engine = database.connect(self.url)
        try:
            with engine.connect():
                return True
        except exc.OperationalError:
            return False
        finally:
            engine.dispose()


def _as_nobody(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
