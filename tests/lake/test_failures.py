"""What stores and disks say when they are full, refuse or are silent; the texts are theirs."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from pcb_spark.core.errors import InputError, StorageFault, StoreUnreachable
from pcb_spark.lake import failures

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STAGE = (
    "Job aborted due to stage failure: Task 0 in stage 4.0 failed 1 times, most recent failure: "
    "Lost task 0.0 in stage 4.0 (TID 9) (10.0.0.7 executor 1): {}\n"
    "\tat org.apache.spark.scheduler.Task.run(Task.scala:141)\nDriver stacktrace:"
)


class Throwable:
    """Stands for a Java exception."""

    def __init__(self, text: str, cause: Throwable | None = None) -> None:
        self.text, self.cause = text, cause

    def toString(self) -> str:
        return self.text

    def getCause(self) -> Throwable | None:
        return self.cause


def raised(*texts: str) -> Exception:
    """What py4j raises for a Java exception of these texts, the cause last."""
    throwable = None
    for text in reversed(texts):
        throwable = Throwable(text, throwable)
    error: Any = Py4JJavaError.__new__(Py4JJavaError)
    error.java_exception = throwable
    found: Exception = error
    return found


@pytest.mark.parametrize(
    "text",
    [
        "java.io.IOException: No space left on device",
        "java.io.IOException: Disk quota exceeded",
        "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: The DiskSpace quota of /pcb is "
        "exceeded: quota = 1 B but diskspace consumed = 2 B",
        "org.apache.hadoop.ipc.RemoteException(java.io.IOException): File /pcb/part-0 could only "
        "be written to 0 of the 1 minReplication nodes.",
        "OSError: [Errno 28] No space left on device: '/tmp/spark'",
    ],
)
@pytest.mark.parametrize("shape", ["cause", "stage", "python"])
def test_a_full_store_is_to_be_repaired(text: str, shape: str) -> None:
    errors = {
        "cause": raised("org.apache.spark.SparkException: Job aborted.", text),
        "stage": raised(f"org.apache.spark.SparkException: {STAGE.format(text)}"),
        "python": PySparkException(STAGE.format(text)),
    }
    with (
        pytest.raises(StorageFault, match="it stops: there is no room left") as caught,
        failures.spark_failures("it stops", hint="never said"),
    ):
        raise errors[shape]
    assert text in str(caught.value.got)


@pytest.mark.parametrize(
    "text",
    [
        "org.apache.hadoop.security.AccessControlException: Permission denied: user=kim, "
        'access=WRITE, inode="/pcb":hdfs:supergroup:drwxr-xr-x',
        "java.nio.file.AccessDeniedException: s3a://plant/pcb: PUT 0-byte object: "
        "com.amazonaws.services.s3.model.AmazonS3Exception: Access Denied (Service: Amazon S3; "
        "Status Code: 403; Error Code: AccessDenied)",
        "java.io.IOException: Mkdirs failed: (Permission denied)",
        'Operation failed: "This request is not authorized to perform this operation using this '
        'permission.", 403, PUT, https://plant.dfs.core.windows.net/tables/pcb, '
        "AuthorizationPermissionMismatch",
        "com.microsoft.azure.storage.StorageException: Server failed to authenticate the request.",
        "java.io.FileNotFoundException: /pcb/part-0 (Read-only file system)",
        "com.amazonaws.services.s3.model.AmazonS3Exception: The specified bucket does not exist",
    ],
)
def test_a_store_that_refuses_is_to_be_repaired(text: str) -> None:
    found = failures.of_store(raised("org.apache.spark.SparkException: failed", text), "it stops")
    assert isinstance(found, StorageFault)
    assert found.what == "it stops: the store refuses it"


@pytest.mark.parametrize(
    "text",
    [
        "java.net.ConnectException: Call From w7 to namenode:8020 failed: Connection refused",
        "java.net.UnknownHostException: plant.dfs.core.windows.net",
        "java.net.SocketTimeoutException: Read timed out",
        "com.amazonaws.services.s3.model.AmazonS3Exception: Please reduce your request rate. "
        "(Service: Amazon S3; Status Code: 503; Error Code: SlowDown)",
        'Operation failed: "Ingress is over the account limit.", 503, PUT, https://plant, '
        "ServerBusy",
        "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Name node is in safe mode.",
    ],
)
def test_a_silent_store_may_be_tried_again(text: str) -> None:
    found = failures.of_store(raised("org.apache.spark.SparkException: failed", text), "it stops")
    assert isinstance(found, StoreUnreachable)
    assert found.got == text


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS,
    ],
)  # fmt: skip
def test_what_the_driver_meets_itself_counts_too(number: int) -> None:
    error = OSError(number, os.strerror(number), "/pcb/.leases/run.json")
    with pytest.raises(StorageFault), failures.of_stores("train can't go on"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        raised("org.apache.spark.SparkException: failed", "java.lang.RuntimeException: no number"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/pcb/403"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),  # by a JVM that is gone
        PySparkException("[PATH_NOT_FOUND] Path does not exist: file:/503/403."),
    ],
)
def test_other_failures_are_not_those_of_a_store(error: Exception) -> None:
    assert failures.of_store(error, "it stops") is None
    with pytest.raises(type(error)), failures.of_stores("it stops"):
        raise error


def test_a_disk_that_is_full_where_a_task_writes(spark: SparkSession) -> None:
    def write(batches: Iterable[Any]) -> Iterable[Any]:
        for batch in batches:
            Path("/dev/full").write_bytes(bytes(100_000))
            yield batch

    with pytest.raises(StorageFault) as caught, failures.spark_failures("it stops", hint=""):
        spark.range(1).mapInPandas(write, "id long").collect()
    assert "No space left on device" in str(caught.value.got)


def test_a_fault_of_the_rows_is_one_of_the_input(spark: SparkSession) -> None:
    fault = F.expr("raise_error('no number')").cast("long")
    with pytest.raises(InputError) as caught, failures.spark_failures("it stops", hint="look"):
        spark.range(1).select(fault.alias("number")).collect()
    assert (caught.value.got, caught.value.hint) == (
        "java.lang.RuntimeException: no number", "look",
    )  # fmt: skip


def test_what_python_raised_inside_spark_is_named(spark: SparkSession) -> None:
    def work(batches: Iterable[Any]) -> Iterator[Any]:
        raise ValueError("no such colour: beige")
        yield from batches

    with (
        pytest.raises(InputError) as caught,
        failures.spark_failures("the drop can't be read", hint="paint it"),
    ):
        spark.range(1).mapInArrow(work, "id long").collect()

    assert caught.value.got == "ValueError: no such colour: beige"
    assert caught.value.hint == "paint it"
