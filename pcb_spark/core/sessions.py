"""Sessions of ONNX Runtime that count the same everywhere: on the processor, with so many threads.

With another number of threads the kernels of int8 split their work elsewhere, and the last bits of
a score differ.
"""

from __future__ import annotations

from typing import Final

import onnxruntime as ort

_METADATA: Final = 14  # ModelProto.metadata_props


def of(graph: bytes, *, threads: int = 1) -> ort.InferenceSession:
    """Return a session for a serialized graph."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    return ort.InferenceSession(_with_threads(graph, threads), options, providers=providers)


def _with_threads(graph: bytes, threads: int) -> bytes:
    """Ask for the number of threads in the graph as well, as ``graphs.with_threads`` does.

    Where ORT_LOAD_CONFIG_FROM_MODEL=1 is set, as for Spark, ONNX Runtime passes over the options of
    a session. A protobuf message is added to by adding bytes, so that no onnx is needed.
    """
    config = b'{"session_options": {"intra_op_num_threads": %d}}' % threads
    entry = _field(1, b"ort_config") + _field(2, config)
    return graph + _field(_METADATA, entry)


def _field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message; of less than 16, and with less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
