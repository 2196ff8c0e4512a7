"""Files and folders on any store, through Hadoop's file systems in the driver's JVM."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from py4j.protocol import Py4JJavaError

from pcb_spark.core.errors import StorageFault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


#: For Spark's readers: on a local disk Hadoop looks for checksums beside each file, and can't make
#: their names where the file's has a colon.
NO_CHECKSUMS: Final = {
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in a folder: its name, its bytes, its store's clock when it was written, in ms."""

    name: str
    length: int
    modified_ms: int


def open_path(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return Hadoop's file system of ``uri``, and its path there."""
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    return path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path


def local_path(spark: SparkSession, uri: str) -> Path | None:
    """The path of ``uri`` on this machine's disk; None where it is on another file system."""
    filesystem, path = open_path(spark, uri)
    return Path(path.toUri().getPath()) if _local(filesystem) else None


def exists(spark: SparkSession, uri: str) -> bool:
    """Say whether there is a file or folder at ``uri``."""
    filesystem, path = open_path(spark, uri)
    return bool(filesystem.exists(path))


def require(spark: SparkSession, uri: str) -> None:
    """Let Hadoop's FileNotFoundException through where there is nothing at ``uri``."""
    filesystem, path = open_path(spark, uri)
    filesystem.getFileStatus(path)


def modified_ms(spark: SparkSession, uri: str) -> int | None:
    """When the file at ``uri`` was written, by its store's clock; None where there is none."""
    filesystem, path = open_path(spark, uri)
    try:
        return int(filesystem.getFileStatus(path).getModificationTime())
    except Py4JJavaError:
        if filesystem.exists(path):
            raise
        return None


def scheme(spark: SparkSession, uri: str) -> str:
    """Return the scheme of the file system that ``uri`` is on."""
    return str(open_path(spark, uri)[0].getUri().getScheme())


def qualified(spark: SparkSession, uri: str) -> str:
    """Return ``uri`` with its scheme, as Spark's file sources report it."""
    filesystem, path = open_path(spark, uri)
    return str(filesystem.makeQualified(path).toString())


def entries(spark: SparkSession, uri: str) -> list[Entry]:
    """List what lies right below the folder ``uri``; nothing where there is no such folder."""
    filesystem, path = open_path(spark, uri)
    if not filesystem.exists(path):
        return []
    return [
        Entry(found.getPath().getName(), found.getLen(), found.getModificationTime())
        for found in filesystem.listStatus(path)
    ]


def names(spark: SparkSession, uri: str) -> list[str]:
    """The names right below a folder; none where there is no folder."""
    return [entry.name for entry in entries(spark, uri)]


def below(spark: SparkSession, uri: str) -> list[str]:
    """The paths of all files in a folder, relative to it; the empty path of a file itself."""
    filesystem, path = open_path(spark, uri)
    root = len(str(filesystem.makeQualified(path).toString()))
    found = filesystem.listFiles(path, True)
    paths = []
    while found.hasNext():
        paths.append(str(found.next().getPath().toString())[root:].lstrip("/"))
    return sorted(paths)


def move(spark: SparkSession, source: str, target: str) -> None:
    """Rename a file or folder; the folder that it goes into has to be there.

    Raises
    ------
    StorageFault : the file system refuses.
    """
    filesystem, path = open_path(spark, source)
    onto = open_path(spark, target)[1]
    reason = None
    if _local(filesystem):
        reason = _move_on_disk(Path(path.toUri().getPath()), Path(onto.toUri().getPath()))
    elif not filesystem.rename(path, onto):
        reason = "a refusal without a reason"
    if reason is not None:
        what = f"{source} can't be moved to {target}"
        raise StorageFault(what, got=reason, hint="check the rights on the output folder")


def copy_over(spark: SparkSession, source: str, target: str) -> None:
    """Write a copy of a file in the place of another one, which is never missing in between."""
    (from_filesystem, path), (filesystem, onto) = (open_path(spark, u) for u in (source, target))
    file_util = spark._jvm.org.apache.hadoop.fs.FileUtil  # type: ignore[union-attr]
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    file_util.copy(from_filesystem, path, filesystem, onto, False, True, conf)


def remove(spark: SparkSession, uri: str) -> None:
    """Delete ``uri`` and all below it, if it is there."""
    filesystem, path = open_path(spark, uri)
    filesystem.delete(path, True)


def remove_empty(spark: SparkSession, uri: str) -> None:
    """Delete the folder ``uri`` where nothing is in it."""
    filesystem, path = open_path(spark, uri)
    if not entries(spark, uri):
        with contextlib.suppress(Py4JJavaError):  # something has come into it meanwhile
            filesystem.delete(path, False)


def make_folder(spark: SparkSession, uri: str) -> None:
    """Make a folder and those above it."""
    filesystem, path = open_path(spark, uri)
    filesystem.mkdirs(path)


def upload(spark: SparkSession, local: Path, uri: str) -> None:
    """Copy a local file or folder to ``uri``."""
    filesystem, target = open_path(spark, uri)
    source = _local_path(spark, local)
    filesystem.copyFromLocalFile(source, target)


def download(spark: SparkSession, uri: str, folder: Path) -> None:
    """Copy the files right below ``uri`` into the local ``folder``."""
    filesystem, source = open_path(spark, uri)
    for status in filesystem.listStatus(source):
        local = _local_path(spark, folder / status.getPath().getName())
        filesystem.copyToLocalFile(False, status.getPath(), local, True)


def read_whole(spark: SparkSession, uri: str) -> bytes:
    """The bytes of a small file."""
    filesystem, path = open_path(spark, uri)
    if _local(filesystem):
        return Path(path.toUri().getPath()).read_bytes()
    stream = filesystem.open(path)
    try:
        return bytes(spark._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))  # type: ignore[union-attr]
    finally:
        stream.close()


def write_whole(spark: SparkSession, uri: str, content: bytes) -> None:
    """Write a small file that readers see as it was or as it is.

    Stores of objects show a file once it is closed; wasb shows an empty one before that. On a local
    disk it takes a rename, and Hadoop's own would leave the old checksum beside the new file for a
    moment.
    """
    filesystem, path = open_path(spark, uri)
    if not _local(filesystem):
        stream = filesystem.create(path, True)
        stream.write(content)
        stream.close()
        return
    target = Path(path.toUri().getPath())
    scratch = target.with_name(f".{target.name}.new")
    scratch.write_bytes(content)
    target.with_name(f".{target.name}.crc").unlink(missing_ok=True)
    scratch.replace(target)


def _move_on_disk(source: Path, target: Path) -> str | None:
    """Rename with the checksum that Hadoop keeps beside a file; the answer is what went wrong.

    Hadoop's own rename copies, and makes folders, where the disk refuses.
    """
    checksums = [path.with_name(f".{path.name}.crc") for path in (source, target)]
    try:
        checksums[1].unlink(missing_ok=True)
        source.rename(target)
        if checksums[0].exists():
            checksums[0].rename(checksums[1])
    except OSError as error:
        return str(error)
    return None


def _local_path(spark: SparkSession, path: Path) -> Any:
    """Hadoop's path of a local one; it takes names as they are, where an URI would escape them."""
    return open_path(spark, f"file://{path.resolve()}")[1]


def _local(filesystem: Any) -> bool:
    return bool(filesystem.getUri().getScheme() == "file")
