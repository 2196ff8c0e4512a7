"""Sessions of ONNX Runtime that count the same everywhere: on the processor, with so many threads.

With another number of threads the kernels of int8 split their work elsewhere, and the last bits of
a score differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import onnxruntime as ort

# Numbers of fields, as onnx.proto has them.
_GRAPH, _METADATA = 7, 14  # of a model
_OUTPUT: Final = 12  # of a graph


def of(graph: bytes, *, threads: int = 1) -> ort.InferenceSession:
    """Return a session for a serialized graph."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    return ort.InferenceSession(_with_threads(graph, threads), options, providers=providers)


def exposing(graph: bytes, tensors: Iterable[str]) -> bytes:
    """Make inner tensors outputs of a serialized graph.

    A second message in the place of one is merged into it, so that no onnx is needed here either.
    """
    named = (_field(_OUTPUT, _field(1, tensor.encode())) for tensor in tensors)
    return graph + _field(_GRAPH, b"".join(named))


def _with_threads(graph: bytes, threads: int) -> bytes:
    """Ask for the number of threads in the graph as well, as ``graphs.with_threads`` does.

    Where ORT_LOAD_CONFIG_FROM_MODEL=1 is set, as for Spark, ONNX Runtime passes over the options of
    a session. A protobuf message is added to by adding bytes, so that no onnx is needed.
    """
    config = b'{"session_options": {"intra_op_num_threads": %d}}' % threads
    entry = _field(1, b"ort_config") + _field(2, config)
    return graph + _field(_METADATA, entry)


def _field(number: int, content: bytes) -> bytes:
    """A field, numbered below 16, of a protobuf message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last one have the eighth."""
    found = []
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
