"""Files of pretrained weights: fetch a pinned one, read one, refuse what is no ONNX model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import onnx
import pooch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from pcb_spark.core.errors import BackboneError
from pcb_spark.lake import folders

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """A pinned download; ``urls`` are tried in order, ``sha256`` and ``size`` are the file's."""

    name: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    licence: str
    note: str

    @property
    def file_name(self) -> str:
        """What the file is called in the cache."""
        return f"{self.name}.onnx"


SOURCES: Mapping[str, WeightsSource] = MappingProxyType({
    source.name: source
    for source in (
        WeightsSource(
            name="resnet50-v1-12",
            urls=(
                "https://huggingface.co/onnxmodelzoo/resnet50-v1-12/resolve/main/"
                "resnet50-v1-12.onnx",
                "https://media.githubusercontent.com/media/onnx/models/main/validated/vision/"
                "classification/resnet/model/resnet50-v1-12.onnx",
            ),
            sha256="3f03fdef724b22947eed826f1eef1dc5c34151bb4c37d634f1db89dfa2dd1526",
            size=102_576_593,
            licence="Apache-2.0",
            note="ONNX model zoo; trained on ImageNet-1k, batch normalisation not folded",
        ),
    )
})  # fmt: skip
"""Every download that can be named instead of a file."""


def fetch(source: WeightsSource, *, cache_dir: Path, timeout_s: float) -> Path:
    """Return the path of the verified file, downloading it if the cache doesn't have it.

    Raises
    ------
    BackboneError : no address gave the pinned file; the message says why for each.
    """
    path = cache_dir / source.file_name
    if folders.offline() and not _is_pinned(path, source):
        got = f"no such file in {cache_dir}, and {folders.OFFLINE} is set"
        raise _not_fetched(source, path, got=got)
    failures = []
    for url in source.urls:
        try:
            pooch.retrieve(
                url, known_hash=f"sha256:{source.sha256}", fname=path.name, path=path.parent,
                downloader=pooch.HTTPDownloader(timeout=timeout_s, chunk_size=_CHUNK_BYTES),
            )  # fmt: skip
        # requests' errors are OSErrors; pooch reports a wrong hash as a ValueError.
        except (OSError, ValueError) as error:
            logger.warning("no weights from %s: %s", url, error)
            reason = type(error).__name__ if isinstance(error, OSError) else "another sha256"
            failures.append(f"{urlsplit(url).hostname}: {reason}")
        else:
            return path
    raise _not_fetched(source, path, got=", ".join(failures))


def _is_pinned(path: Path, source: WeightsSource) -> bool:
    return path.is_file() and str(pooch.file_hash(path)) == source.sha256


def _not_fetched(source: WeightsSource, path: Path, *, got: str) -> BackboneError:
    return BackboneError(
        f"the weights {source.name} can't be downloaded",
        expected=f"{source.size:,} bytes with sha256 {source.sha256}",
        got=got,
        hint=f"bring the file to {path} by hand, or set backbone.weights to a ResNet-50 ONNX file",
    )


def read(path: Path) -> bytes:
    """Read a file of weights.

    Raises
    ------
    BackboneError : no such file, not readable, or empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackboneError(
            f"the weights {path} can't be read", expected="an ONNX file", got=error.strerror,
            hint="set backbone.weights to a file, or to one of " + ", ".join(SOURCES),
        ) from None  # fmt: skip
    if not content:
        raise _unreadable(path, "an empty file")
    return content


def parse(content: bytes, where: object) -> onnx.ModelProto:
    """Parse an ONNX model that holds its weights; ``where`` names it in messages.

    Raises
    ------
    BackboneError : text, truncated, damaged, or its weights are in another file.
    """
    head = content[:_HEAD_BYTES]
    if _is_text(head):
        raise _unreadable(where, f"text that begins {head[:40].decode(errors='replace')!r}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise _unreadable(where, f"{len(content):,} bytes, truncated or damaged") from error
    _refuse_external_weights(model, where)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().partition("\n")[0]
        raise _unreadable(where, f"an invalid model: {reason}") from error
    return model


def _unreadable(where: object, got: str) -> BackboneError:
    return BackboneError(
        f"the weights {where} aren't an ONNX model", expected="one whole ONNX file", got=got,
        hint="copy or download the file again and compare its size and sha256",
    )  # fmt: skip


def _is_text(head: bytes) -> bool:
    """Tell text (a web page, a Git LFS pointer) from a protobuf message, which has low bytes."""
    text = head.decode(errors="ignore")
    return len(text) > len(head) // 2 and all(c.isprintable() or c in "\t\r\n" for c in text)


def _refuse_external_weights(model: onnx.ModelProto, where: object) -> None:
    elsewhere = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if elsewhere:
        raise BackboneError(
            f"the weights {where} are kept in other files", expected="one self-contained file",
            got=", ".join(sorted(elsewhere)),
            hint="write it as one: onnx.save_model(onnx.load(path), new_path)",
        )  # fmt: skip
