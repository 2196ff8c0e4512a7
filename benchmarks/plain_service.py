"""A service as it is written first: FastAPI, one session of ONNX Runtime, one image a request.

No keys, no limits, no batches, no logs of its own; pixels are read as everywhere else, since
another way would be another score. ``python -m benchmarks.plain_service BUNDLE`` says where it is.
"""

import socket
import sys
from pathlib import Path
from typing import Annotated

import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, File

from pcb_spark.core import batches, bundle
from pcb_spark.core.pairs import PairReader

app = FastAPI()
model = bundle.read(Path(sys.argv[1]))
session = ort.InferenceSession(model.parts[bundle.GRAPH], providers=["CPUExecutionProvider"])


@app.post("/predict")
def predict(
    image: Annotated[bytes, File()], reference: Annotated[bytes, File()]
) -> dict[str, float]:
    """Score one pair, in one of the framework's threads."""
    pair = PairReader(model.manifest.reading).read(image, reference)
    golden = None if pair.reference is None else [pair.reference]
    inputs = batches.feed([pair.image], golden, [0] if golden else ())
    return {"probability": float(session.run([batches.PROBABILITY], inputs)[0][0, 0])}


if __name__ == "__main__":
    # as uvicorn makes it of a host and a port: asyncio sets TCP_NODELAY where the protocol is named
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        sys.stdout.write(f"listening at http://127.0.0.1:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
