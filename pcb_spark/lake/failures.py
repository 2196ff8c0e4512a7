"""What a failure inside Spark, Hadoop or the operating system means: repair, try again, or input.

Stores say it in words of their own, and Spark puts those of an executor into the text of its own
failure; so it is the text of the failure and of all its causes that tells.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
from collections.abc import Iterator
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from pcb_spark.core.errors import InputError, PcbSparkError, StorageFault, StoreUnreachable

log = logging.getLogger(__name__)

#: What Spark, Hadoop and the file system raise by themselves.
FROM_SPARK: Final = (Py4JJavaError, PySparkException)
_RAISED: Final = (*FROM_SPARK, OSError)
#: The line below a traceback of Python that names the exception.
_RAISED_IN_PYTHON: Final = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+(\S.*)$", re.MULTILINE
)

_FULL: Final = re.compile(
    r"(?i)no space left on device|disk quota exceeded|file too large|quota ?exceeded|exceeds? quota"
    r"|not enough space|insufficient ?storage|could only be (written|replicated) to 0 of"
    r"|errno (28|122)\b"
)
_REFUSED: Final = re.compile(
    r"(?i)permission denied|access ?denied|AccessControlException|operation not permitted"
    r"|Authorization(Permission(Mismatch)?|Failure)|AuthenticationFailed|failed to authenticate"
    r"|not authorized|InvalidAccessKeyId|SignatureDoesNotMatch|No ?AuthWithAWS|ExpiredToken"
    r"|no aws credentials|read-only file system|status code:? ?40[13]\b|\", 40[13],"
    r"|NoSuchBucket|(bucket|container|filesystem) (specified )?does not exist|ContainerNotFound"
    r"|FilesystemNotFound|errno (1|13|30)\b"
)
_SILENT: Final = re.compile(
    r"(?i)connection (refused|reset|timed out)|connect timed out|read timed out"
    r"|ConnectException|ConnectTimeout|SocketTimeout|NoRouteToHost|UnknownHost|no route to host"
    r"|network is unreachable|slow ?down|service ?unavailable|server ?(is )?busy"
    r"|status code:? ?50[0234]\b|\", 50[0234],|safe ?mode|StandbyException"
)
_FULL_NUMBERS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED_NUMBERS: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST: Final = 400


@contextlib.contextmanager
def spark_failures(what: str, *, hint: str) -> Iterator[None]:
    """Turn a failure inside Spark into one error that names its cause.

    Raises
    ------
    StorageFault, StoreUnreachable : the cause is the store's.
    InputError : it is another one.
    """
    try:
        yield
    except FROM_SPARK as error:
        log.debug("%s", what, exc_info=True)
        found = of_store(error, what)
        raise found or InputError(what, got=cause(error), hint=hint) from None
    except OSError as error:
        if (found := of_store(error, what)) is None:
            raise
        raise found from None


@contextlib.contextmanager
def of_stores(what: str) -> Iterator[None]:
    """Turn a failure of a store into the error that it is; others pass as they are."""
    try:
        yield
    except _RAISED as error:
        found = of_store(error, what)
        if found is None:
            raise
        raise found from error


def of_store(error: Exception, what: str) -> PcbSparkError | None:
    """The error that a store's failure is; None of any other failure."""
    full, refused, silent = _tell(error)
    if full:
        return StorageFault(
            f"{what}: there is no room left", got=full,
            hint="free or add space, then start the job again; what it wrote so far is whole",
        )  # fmt: skip
    if refused:
        return StorageFault(
            f"{what}: the store refuses it", got=refused,
            hint="give the identity that runs the job the right to read and write there",
        )  # fmt: skip
    if silent:
        return StoreUnreachable(
            f"{what}: the store doesn't answer", got=silent,
            hint="start the job again later; what it wrote so far is whole",
        )  # fmt: skip
    return None


def _tell(error: Exception) -> tuple[str | None, str | None, str | None]:
    """What says that a store is full, that it refuses, that it is silent."""
    if not isinstance(error, OSError):
        texts = _texts(error)
        return _line(_FULL, texts), _line(_REFUSED, texts), _line(_SILENT, texts)
    # Python itself reaches disks only; what doesn't answer it is the JVM.
    full, refused = error.errno in _FULL_NUMBERS, error.errno in _REFUSED_NUMBERS
    return str(error) if full else None, str(error) if refused else None, None


def cause(error: Exception) -> str:
    """What happened, in one line: what Python raised, where it did, else the deepest cause."""
    texts = _texts(error)
    for text in texts:
        raised = _RAISED_IN_PYTHON.findall(text)
        if raised:
            return str(raised[-1])[:_LONGEST]
    lines = (texts[-1] if isinstance(error, Py4JJavaError) else texts[0]).strip().splitlines()
    return lines[0][:_LONGEST] if lines else type(error).__name__


def _texts(error: Exception) -> list[str]:
    """What the failure says, then its cause, and so on to the root."""
    if isinstance(error, Py4JJavaError):
        return _of_causes(error.java_exception)
    return [str(error), *_of_causes(getattr(error, "_origin", None))]


def _of_causes(throwable: Any) -> list[str]:
    texts = []
    while throwable is not None:
        texts.append(str(throwable.toString()))
        throwable = throwable.getCause()
    return texts


def _line(wanted: re.Pattern[str], texts: list[str]) -> str | None:
    """The line that says it, of the deepest cause that does."""
    for text in reversed(texts):
        for line in text.splitlines():
            if wanted.search(line):
                return line.strip()[:_LONGEST]
    return None
