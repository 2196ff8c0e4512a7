"""A Spark standalone cluster on loopback, out of the pip-installed pyspark.

One master and two workers of one core each. They and every ``spark-submit`` run in process groups
of their own, so that whatever a failed test leaves behind ends with the fixture.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sysconfig
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

LOOPBACK = "127.0.0.1"
WORKERS = 2

_DEPLOY = "org.apache.spark.deploy"
_PORTS = ("--host", LOOPBACK, "--port", "0", "--webui-port", "0")
_MASTER_SAID = r"Starting Spark master at (\S+)"
_PAGE_SAID = r"Bound MasterWebUI to .* started at (\S+)"
_DEADLINE = 180.0
#: Proxies are for the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How a ``spark-submit`` ended, all that it and its driver printed, and Spark's event logs."""

    code: int
    output: str
    events: tuple[Path, ...]

    def tail(self) -> str:
        """Return the last lines without Spark's own chatter, for a failed assertion."""
        return _tail(self.output)

    def tasks(self) -> list[tuple[str, str]]:
        """Return what succeeded: the stage's name and the executor's id, one pair a task."""
        (log,) = self.events
        events = [json.loads(line) for line in _read(log).splitlines()]
        stages = [e["Stage Info"] for e in events if e["Event"] == "SparkListenerStageSubmitted"]
        names = {stage["Stage ID"]: stage["Stage Name"] for stage in stages}
        return [
            (names[e["Stage ID"]], e["Task Info"]["Executor ID"])
            for e in events
            if e["Event"] == "SparkListenerTaskEnd" and e["Task End Reason"]["Reason"] == "Success"
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster: ``url`` is what ``--master`` takes, ``page`` shows the master's state.

    ``python`` is what its nodes and drivers run; ``processes`` ends what was started.
    """

    url: str
    page: str
    python: Path
    folder: Path
    worker_memory: str
    processes: contextlib.ExitStack

    def state(self) -> dict[str, Any]:
        """Return the master's state: its workers and applications."""
        with _OPENER.open(f"{self.page}/json/", timeout=10) as answer:
            state: dict[str, Any] = json.load(answer)
        return state

    def start_worker(self) -> None:
        """Start one more worker of one core."""
        number = len(list(self.folder.glob("worker-*.log")))
        size = ("--cores", "1", "--memory", self.worker_memory)
        place = ("--work-dir", str(self.folder / f"worker-{number}"))
        worker = [_script("spark-class"), f"{_DEPLOY}.worker.Worker", *_PORTS, *size, *place]
        log = self.folder / f"worker-{number}.log"
        environment = node_environment(self.python)
        self.processes.enter_context(_running([*worker, self.url], environment, log))

    def kill_worker(self, number: int = 0) -> None:
        """End a worker, and the executor that it started, by SIGKILL."""
        children = psutil.Process().children(recursive=True)
        workers = [c for c in children if f"{_DEPLOY}.worker.Worker" in _command(c)]
        worker = workers[number % len(workers)]
        for process in (*worker.children(recursive=True), worker):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def wait_for_workers(self) -> None:
        """Wait until all workers that there should be are alive."""
        _wait_for(
            lambda: self.state()["aliveworkers"] == WORKERS or None, self.folder / "master.log"
        )

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Put ``spark-submit`` to this cluster before its arguments."""
        return [_script("spark-submit"), "--master", self.url, *arguments]

    def submit(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], seconds: float
    ) -> Submission:
        """Run ``spark-submit`` to its end, with a working directory outside of the checkout."""
        folder = Path(tempfile.mkdtemp(prefix="submission-", dir=self.folder))
        log, events = folder / "output.log", folder / "events"
        events.mkdir()
        record = ("spark.eventLog.enabled=true", f"spark.eventLog.dir={events.as_uri()}")
        options = [word for setting in record for word in ("--conf", setting)]
        command = self.command([*options, *arguments])
        with _running(command, {**node_environment(self.python), **environment}, log) as process:
            try:
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                what = f"spark-submit is not done after {seconds} s\n{_tail(_read(log))}"
                raise TimeoutError(what) from None
        return Submission(code=code, output=_read(log), events=tuple(events.iterdir()))


@contextlib.contextmanager
def standalone(folder: Path, *, worker_memory: str) -> Iterator[Cluster]:
    """Start the master and its workers, yield once all are alive, and stop them in any case."""
    python = _make_node_python(folder / "node")
    environment = node_environment(python)
    spark_class, log = _script("spark-class"), folder / "master.log"
    with contextlib.ExitStack() as processes:
        master = [spark_class, f"{_DEPLOY}.master.Master", *_PORTS]
        processes.enter_context(_running(master, environment, log))
        url = _wait_for(lambda: _search(_MASTER_SAID, log), log)
        page = _wait_for(lambda: _search(_PAGE_SAID, log), log)
        cluster = Cluster(
            url=url, page=page, python=python, folder=folder, worker_memory=worker_memory,
            processes=processes,
        )  # fmt: skip
        for _ in range(WORKERS):
            cluster.start_worker()
        cluster.wait_for_workers()
        yield cluster


def node_environment(python: Path) -> dict[str, str]:
    """Return this process's environment without what it says of Python, Spark or ONNX Runtime."""
    own = ("PYTHON", "PYSPARK_", "SPARK_", "ORT_")
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(own)},
        "PYSPARK_PYTHON": str(python),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_DAEMON_MEMORY": "256m",
        # These JVMs live for seconds: what the second compiler costs, they never earn back.
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",
    }


def _make_node_python(folder: Path) -> Path:
    """Make a Python that has this environment's libraries, but no pcb_spark.

    The editable install is a .pth file, and Python reads those in its own site-packages only, not
    in a folder that one of them names.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    libraries = f"{sysconfig.get_path('purelib')}\n"
    (site_packages / "libraries.pth").write_text(libraries, encoding="utf-8")
    return folder / "bin" / "python"


def _command(process: psutil.Process) -> list[str]:
    """Its command line; nothing once it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        words: list[str] = process.cmdline()
        return words
    return []


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


@contextlib.contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and, should it leave any behind, the rest of its group."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    _signal(process, signal.SIGKILL)
    process.wait(timeout=20)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _wait_for(answer: Callable[[], T | None], log: Path) -> T:
    """Ask until there is an answer; after some minutes without one, fail and show the log."""
    deadline = time.monotonic() + _DEADLINE
    while (found := answer()) is None:
        if time.monotonic() > deadline:
            what = f"the cluster is not up after {_DEADLINE} s\n{_read(log)}"
            raise TimeoutError(what)
        time.sleep(0.1)
    return found


def _search(pattern: str, log: Path) -> str | None:
    match = re.search(pattern, _read(log))
    return match.group(1) if match else None


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _tail(output: str) -> str:
    return "\n".join([line for line in output.splitlines() if " INFO " not in line][-60:])
