"""MLflow's client: quiet, imported late, and with errors of this project.

It is imported where a registry is opened, since that takes a second or two.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core.errors import EnvironmentFault, StorageFault, StoreUnreachable
from pcb_spark.lake import stores

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Read when MLflow is imported. It would report to its makers, start workers and draw bars.
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def connect(uri: str) -> MlflowClient:
    """The client of the tracking server, or of the SQLite file, at ``uri``.

    Raises
    ------
    StoreUnreachable, StorageFault : it doesn't answer, or refuses.
    EnvironmentFault : MLflow isn't installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise EnvironmentFault(
            "MLflow isn't installed",
            got=error,
            hint="install the spark extra anew, or --set registry.enabled=false to train without",
        ) from None
    with failures(uri):
        return MlflowClient(uri, registry_uri=uri)


@contextlib.contextmanager
def failures(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into errors of this project."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        said: Any = str(error).strip().splitlines()[0]
        kind = StorageFault if _refuses(error) else StoreUnreachable
        raise kind(
            f"the registry {stores.redacted(uri)} can't be used",
            got=stores.redacted(said),
            hint="correct registry.uri, or give this identity its rights"
            if kind is StorageFault
            else "start again once it answers",
        ) from None


def _refuses(error: Exception) -> bool:
    """Whether the server answered, and won't."""
    code = getattr(error, "get_http_status_code", lambda: 500)()
    return 400 <= code < 500 and code != 429
