"""Services for tests: a small model, a client in this process, and real processes on loopback."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx2
import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from pcb_spark.core import bundle, review
from pcb_spark.core.pairs import Reading
from pcb_spark.core.scorer import Scorer
from pcb_spark.network.graphs import FeatureSpec
from pcb_spark.serving import app, keys, served
from pcb_spark.serving.settings import Settings
from tests import edge
from tests.models import in_memory, train
from tests.rows import rendered_pairs

if TYPE_CHECKING:
    from pcb_spark.serving.served import Served

ALONE = FeatureSpec(levels=("layer2",), pooling=("mean",), reading=Reading(difference=False))
SHARES = review.Shares(control=0.3, audit=0.4, seed=7)

Pair = tuple[bytes, bytes]

_MAIN = "import sys; from pcb_spark.serving.service import main; sys.exit(main())"


def model(spec: FeatureSpec = edge.COMPARING, *, seed: int = 5, **changes: Any) -> bundle.Bundle:
    """A bundle of a trunk that takes next to no work."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(scale=0.3, size=(80, spec.width)).astype(np.float32)
    text = train(rows, rng.random(80) < 0.5)
    found = {"threshold": {"value": 0.5}, "max_offset": spec.reading.max_offset, **changes}
    return in_memory(spec, text, **found)


@functools.cache
def deciding() -> bundle.Bundle:
    """A model that clears a half of rendered pairs; the upper half of these are high scores."""
    scorer = Scorer(model())
    scores = [scorer.score(*pair).probability or 0.0 for pair in pairs(12)]
    value, high_from = (float(each) for each in np.quantile(scores, (0.5, 0.25)))
    return model(threshold={"value": value, review.HIGH_FROM: high_from})


def write(folder: Path, made: bundle.Bundle, *, hours: int = 0) -> Path:
    """Write a signed edge bundle, exported so many hours later than others."""
    moment = edge.EXPORTED + timedelta(hours=hours)
    return edge.folder(folder, edge.sealed(made=made, shares=SHARES, created_at=moment))


def load(path: Path, *, settings: Settings) -> Served:
    trusted = [edge.PLANT.public]
    return served.load(path, trusted=trusted, max_pixels=settings.max_pixels, most=settings.batch)


@contextlib.contextmanager
def client(
    path: Path, *, ring: keys.KeyRing | None = None, golden: Path | None = None, **limits: Any
) -> Iterator[TestClient]:
    """A client of a service in this process, with the lifespan of an application."""
    settings = Settings(**{"workers": 2, "watch_seconds": 3600, **limits})
    service = app.Service(path, partial(load, settings=settings), settings, ring, golden=golden)
    with TestClient(app.build(service)) as asking:
        yield asking


def token(path: Path, *scopes: str) -> str:
    """A key of a file, which is made or added to."""
    made, key = keys.make("tests", scopes)
    keys.write(path, [*(keys.read(path) if path.exists() else ()), key])
    return made


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def files(pairs: Sequence[tuple[bytes, bytes | None]]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """The files of a form."""
    kind = "application/octet-stream"
    images = [("image", ("image.png", image, kind)) for image, _ in pairs]
    golden = [("reference", ("golden.png", own, kind)) for _, own in pairs if own is not None]
    return [*images, *golden]


def encoded(pairs: Sequence[tuple[bytes, bytes | None]], **trace: Any) -> dict[str, Any]:
    """The same as JSON."""
    listed = []
    for image, reference in pairs:
        each: dict[str, Any] = {"image": base64.b64encode(image).decode(), **trace}
        if reference is not None:
            each["reference"] = base64.b64encode(reference).decode()
        listed.append(each)
    return {"images": listed}


def told_by_core(made: bundle.Bundle, pairs: Sequence[Pair]) -> list[tuple[float | None, str]]:
    """Probability and decision of each pair, scored one by one without a service."""
    scorer = Scorer(made)
    scores = [scorer.score(*pair) for pair in pairs]
    return [(score.probability, score.decision) for score in scores]


def pairs(count: int) -> list[Pair]:
    return rendered_pairs(count)


def png_of(width: int, height: int) -> bytes:
    """A black picture of so many pixels."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def until(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Ask until the answer is true; it has to become so in time."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, "it didn't come to pass in time"
        time.sleep(0.01)
    return answer


class Running:
    """A ``pcb-serve start`` of its own on loopback; its log is read as it comes."""

    def __init__(self, path: Path, log: Path, *arguments: str) -> None:
        public = log.with_name("plant.pub")
        public.write_text(edge.PLANT.public.text())
        self._log = log
        self._file: IO[bytes] = log.open("wb")
        command = [sys.executable, "-c", _MAIN, "start", "--bundle"]
        self.process = subprocess.Popen(
            [*command, str(path), "--trust", str(public), "--port", "0", *arguments],
            stderr=self._file,
        )
        try:
            self.url = until(self._listening)
        except BaseException:
            self.end()
            raise

    def _listening(self) -> str:
        assert self.process.poll() is None, self.log()
        line = next((each for each in self.log().splitlines() if "listening at" in each), "")
        return line.rpartition(" ")[2]

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=30)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._file.close()


@contextlib.contextmanager
def running(path: Path, log: Path, *arguments: str) -> Iterator[Running]:
    """A service in a process of its own, ended in any case."""
    service = Running(path, log, *arguments)
    try:
        yield service
    finally:
        service.end()
