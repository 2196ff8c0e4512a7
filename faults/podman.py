"""Containers on this machine, by podman, as restricted as a cluster would have them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: No systemd to ask for control groups, and fewer files than root has: where nothing else is said.
_WITHOUT_SYSTEMD = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
#: Not root, nothing written but to /tmp and what is mounted, no privilege.
RESTRICTED = (
    "--user", "1000:1000", "--read-only", "--tmpfs", "/tmp:exec,mode=1777",
    "--cap-drop", "all", "--security-opt", "no-new-privileges",
)  # fmt: skip
_NO_NETWORK = "none"
_DEADLINE = 600.0


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Let podman, buildah and skopeo do without systemd where there is none."""
    if Path("/run/systemd/system").exists() or "CONTAINERS_CONF" in os.environ:
        yield
        return
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(_WITHOUT_SYSTEMD)
        file.flush()
        os.environ |= {"CONTAINERS_CONF": file.name, "BUILDAH_ISOLATION": "chroot"}
        try:
            yield
        finally:
            del os.environ["CONTAINERS_CONF"], os.environ["BUILDAH_ISOLATION"]


def call(*words: str) -> str:
    """Run a program and return what it printed.

    Raises
    ------
    RuntimeError : it failed; with the end of what it said.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{' '.join(words[:6])} ... ended with {done.returncode}\n{_end(done)}"
        raise RuntimeError(msg)
    return done.stdout


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr)[-4000:]


def run(image: str, *words: str, mounts: Mapping[Path, str], options: Sequence[str] = ()) -> str:
    """Run a command of an image to its end, restricted; ``mounts`` says where folders go."""
    given = ("podman", "run", "--rm", "--no-healthcheck", *RESTRICTED, "--network", _NO_NETWORK)
    return call(*given, *_volumes(mounts), *options, image, *words)


def _volumes(mounts: Mapping[Path, str]) -> list[str]:
    return [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}")]


def start(
    image: str,
    *words: str,
    mounts: Mapping[Path, str],
    options: Sequence[str] = (),
    network: str = _NO_NETWORK,
) -> str:
    """Start an image in the background, restricted, and return the container's name."""
    given = ("podman", "run", "--detach", *RESTRICTED, "--network", network, *_volumes(mounts))
    return call(*given, *options, image, *words).strip()


def remove(name: str) -> None:
    """End a container and remove it."""
    subprocess.run(["podman", "rm", "--force", name], capture_output=True, check=False)


@contextlib.contextmanager
def running(image: str, *words: str, mounts: Mapping[Path, str]) -> Iterator[str]:
    """Start an image in the background, restricted; in the end SIGTERM has to end it with 0."""
    name = start(image, *words, mounts=mounts)
    try:
        yield name
        call("podman", "stop", "--time", "60", name)
        code = inspected(name)["State"]["ExitCode"]
        if code != 0:
            msg = f"{image} ended with {code} on SIGTERM\n{said(name)}"
            raise RuntimeError(msg)
    finally:
        remove(name)


def said(name: str) -> str:
    """The last that a container logged."""
    done = subprocess.run(["podman", "logs", name], capture_output=True, text=True, check=False)
    return _end(done)


def inspected(name: str) -> dict[str, Any]:
    """What podman knows of an image or a container."""
    (found,) = json.loads(call("podman", "inspect", name))
    return dict(found)


def healthy(name: str) -> bool:
    """Run the image's own health check once."""
    command = ["podman", "healthcheck", "run", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def wait_for(ready: Callable[[], bool], name: str) -> None:
    """Wait until a container is ready.

    Raises
    ------
    TimeoutError : it isn't in ten minutes; with the last that it logged.
    """
    deadline = time.monotonic() + _DEADLINE
    while not ready():
        if time.monotonic() > deadline:
            msg = f"{name} isn't ready after {_DEADLINE:.0f} s\n{said(name)}"
            raise TimeoutError(msg)
        time.sleep(0.5)
