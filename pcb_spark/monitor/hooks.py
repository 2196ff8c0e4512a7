"""Telling others of an alarm: a command, or an address, with patience and an end."""

from __future__ import annotations

import json
import logging
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import tenacity

if TYPE_CHECKING:
    from pcb_spark.monitor.settings import MonitorConfig

log = logging.getLogger(__name__)

_FAULTS = (OSError, subprocess.SubprocessError)


def tell(settings: MonitorConfig, message: Mapping[str, Any], *, pause: float = 2.0) -> list[str]:
    """Tell command and webhook, whichever are set, and say what didn't work.

    Nobody being told is no reason to lose a night, so nothing is raised.

    Parameters
    ----------
    pause : seconds before the second try; each further one waits twice as long.
    """
    body = json.dumps(message).encode()
    ways: dict[str, Callable[[], object]] = {}
    if settings.command:
        ways[f"command {settings.command[0]}"] = partial(_run, settings, body)
    if settings.webhook:
        ways["webhook"] = partial(_post, settings, body)
    return [said for name, way in ways.items() if (said := _try(name, way, settings.tries, pause))]


def _try(name: str, way: Callable[[], object], tries: int, pause: float) -> str:
    patient = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(tries),
        wait=tenacity.wait_exponential(multiplier=pause),
        retry=tenacity.retry_if_exception_type(_FAULTS),
        reraise=True,
    )
    try:
        patient(way)
    except _FAULTS as error:
        return f"the {name} was told of the alarm {tries} times in vain: {_cause(error)}"
    return ""


def _cause(error: BaseException) -> str:
    """What went wrong, without the address, which may be a secret itself."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit code {error.returncode}"
    return type(error).__name__


def _run(settings: MonitorConfig, body: bytes) -> None:
    subprocess.run(
        settings.command, input=body, check=True, timeout=settings.timeout_seconds,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _post(settings: MonitorConfig, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(settings.webhook, data=body, headers=headers, method="POST")
    try:
        urllib.request.urlopen(request, timeout=settings.timeout_seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise
