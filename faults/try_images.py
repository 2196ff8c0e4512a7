"""Try the images of conf/docker: each scores as one that isn't root, on a read-only root, offline.

``python -m faults.try_images [--images 240] [--keep FOLDER]``

The jobs' image renders a drop, trains on it and exports a bundle; then the edge machine's, the web
service's and the ETL service's image score the same drop, and have to answer as the jobs' did, to
the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from faults import images, play, podman, shipping

#: Of an image, by its path below the drop: the probability to its last bit, and the decision.
Scores = dict[str, tuple[str, str]]

#: As the demo was made: its weights can't be fetched here.
_DEMO = ("--config", "demo.toml", "--set", 'backbone.weights="untrained"')
_ASK = Path(__file__).with_name("ask_service.py")
_REVIEW = Path(__file__).with_name("ask_review.py")


def _jobs(work: Path, number: int) -> Scores:
    """Render, train, score and export with the image of the jobs."""
    mounts = {work: "/work"}
    image = images.name_of("spark")
    demo = ("demo", "--out", "/work/demo", "--images", str(number))
    podman.run(image, "pcb-spark", *demo, mounts=mounts)
    podman.run(image, "pcb-spark", "key", "new", "/work/plant.key", mounts=mounts)
    export = ("export", "--to", "/work/edge.zip", "--key", "/work/plant.key")
    podman.run(
        image, "pcb-spark", *export, *_DEMO, "--set", 'paths.out="/work/demo"', mounts=mounts
    )
    return _of_table(work / "demo" / "scores")


def _of_table(table: Path) -> Scores:
    found = pd.read_parquet(table, columns=["source_uri", "probability", "decision"])
    return {
        uri.partition("/drop/")[2]: (float(probability).hex(), decision)
        for uri, probability, decision in found.itertuples(index=False, name=None)
    }


def _edge(work: Path) -> list[dict[str, object]]:
    """Trust, update, score and check with the image of edge machines; what it decided."""
    mounts = {work: "/work", work / "home": "/var/lib/pcb-edge"}
    image = images.name_of("edge")
    podman.run(image, "trust", "/work/plant.pub", mounts=mounts)
    podman.run(image, "update", "/work/edge.zip", mounts=mounts)
    said = podman.run(image, "score", "--json", "/work/demo/drop", mounts=mounts)
    podman.run(image, "doctor", mounts=mounts)
    return [json.loads(line) for line in said.splitlines()]


def _service(work: Path, decided: list[dict[str, object]]) -> Scores:
    """Ask the image of the service for each image that the edge machine decided."""
    mounts = {work / "home": "/srv/pcb:ro", work / "etc": "/etc/pcb", work: "/work:ro"}
    image = images.name_of("service")
    make = ("key", "--keys", "/etc/pcb/keys/keys.json", "--name", "try")
    (work / "etc" / "key").write_text(podman.run(image, *make, mounts=mounts).split()[-1])
    (work / "asked.json").write_text(json.dumps(decided))
    shutil.copy(_ASK, work)
    start = (
        "start", "--bundle", "/srv/pcb/current", "--trust", "/srv/pcb/trusted",
        "--keys", "/etc/pcb/keys/keys.json",
    )  # fmt: skip
    with podman.running(image, *start, mounts=mounts) as name:
        podman.wait_for(lambda: podman.healthy(name), name)
        said = podman.call("podman", "exec", name, "python", "/work/ask_service.py", "/work")
    return {path: (score, decision) for path, score, decision in json.loads(said)}


def _review(work: Path, decided: list[dict[str, object]]) -> str:
    """Bring what isn't cleared to the review page of the service's image, and enter a verdict."""
    mounts, image = {work: "/work"}, images.name_of("service")
    # each image of the demo has a verdict, hence --again
    places = ("--set", 'paths.out="/work/demo"', "--to", "/work/review/items", "--again")
    jobs = images.name_of("spark")
    podman.run(jobs, "pcb-spark", "review-queue", *_DEMO, *places, mounts=mounts)
    keys = ("--keys", "/work/review/keys.json")
    make = ("key", *keys, "--name", "try", "--scope", "operator")
    key = podman.run(image, *make, mounts=mounts).split()[-1]
    shutil.copy(_REVIEW, work)
    store = ("--store", "sqlite:////work/review/verdicts.db")
    where = ("--items", "/work/review/items", "--operator-key", "/work/review/operators.key")
    started = ("review", *where, *store, *keys, "--port", "8080")
    with podman.running(image, *started, mounts=mounts) as name:
        podman.wait_for(lambda: podman.healthy(name), name)
        asked = podman.call("podman", "exec", name, "python", "/work/ask_review.py", key)
    podman.run(image, "verdicts", *store, "--to", "/work/review/said.jsonl", mounts=mounts)
    for each in (image, jobs):
        driver = ("-c", "import psycopg")
        podman.run(each, *driver, mounts={}, options=("--entrypoint", "python"))
    waiting = json.loads(asked)["waiting"]
    looked = sum(each["review"] is not None for each in decided)
    (said,) = (work / "review" / "said.jsonl").read_text(encoding="utf-8").splitlines()
    if waiting != looked or json.loads(said)["verdict"] != "fail":
        message = f"{waiting} images wait, {looked} should; the verdict is {said}"
        raise AssertionError(message)
    return f"{waiting} images wait, a verdict is stored; PostgreSQL's driver is there"


def _etl(work: Path, number: int) -> Scores:
    """Take the drop in with the image of the ETL service, end it, and score what it took in."""
    out = work / "taken-in"
    places = ("--set", 'paths.drop="/work/demo/drop"', "--set", 'paths.out="/work/taken-in"')
    mounts, image = {work: "/work"}, images.name_of("etl")
    ingest = ("pcb-spark", "ingest", "--continuous", "--config", "service.toml", *places)

    def taken_in() -> bool:
        files = list((out / "images").glob("**/*.parquet"))
        return sum(len(pd.read_parquet(file, columns=["image_id"])) for file in files) == number

    with podman.running(image, *ingest, mounts=mounts) as name:
        podman.wait_for(lambda: podman.healthy(name) and taken_in(), name)
    podman.run(
        image, "cp", "-r", "/work/demo/bundle", "/work/demo/feature_set", "/work/taken-in",
        mounts=mounts,
    )  # fmt: skip
    podman.run(image, "pcb-spark", "score", *_DEMO, *places, mounts=mounts)
    return _of_table(out / "scores")


def _mlflow() -> str:
    """Start the registry's server, on a file in place of PostgreSQL, until it is healthy."""
    store = "--backend-store-uri=sqlite:////tmp/mlflow.db"
    with podman.running(images.name_of("mlflow"), store, mounts={}) as name:
        podman.call("podman", "exec", name, "python", "-c", "import psycopg2")
        podman.wait_for(lambda: podman.healthy(name), name)
    return "answers, and has PostgreSQL's driver"


def _compare(name: str, found: Scores, expected: Scores) -> str:
    """Say how many scores are equal.

    Raises
    ------
    AssertionError : one isn't, or is missing.
    """
    other = [path for path in expected if found.get(path) != expected[path]]
    if other or len(found) != len(expected):
        first = other[0] if other else "more images than there are"
        msg = f"{name}: {len(other)} of {len(expected)} differ, {first}: {found.get(first)}"
        raise AssertionError(msg)
    return f"{len(found)} of {len(expected)} scores equal to the last bit"


def _try(work: Path, number: int, say: Callable[[str, str], None]) -> None:
    expected = _jobs(work, number)
    say(
        "spark", f"{len(expected)} images of a rendered drop, from ingest to score; bundle exported"
    )
    decided = _edge(work)
    edge = {
        str(each["path"]): (float(str(each["probability"])).hex(), str(each["decision"]))
        for each in decided
    }
    say("edge", _compare("edge", edge, expected))
    say("service", _compare("service", _service(work, decided), expected))
    say("review", _review(work, decided))
    say("etl", _compare("etl", _etl(work, number), expected))
    shutil.rmtree(work / "taken-in" / "scores")
    play.score_on_an_executor(work)
    say("executor", _compare("executor", _of_table(work / "taken-in" / "scores"), expected))
    say("kube play", play.deployment(work))
    say("mlflow", _mlflow())
    for image in images.IMAGES:
        say(image, shipping.described(image))
    say("registry", shipping.pushed_and_pulled("edge", work))


def main() -> None:
    """Print what came of each image; a failure ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=240, help="of the rendered drop")
    parser.add_argument("--keep", type=Path, help="work in this folder, and keep it")
    options = parser.parse_args()
    with podman.settings(), tempfile.TemporaryDirectory() as folder:
        work: Path = options.keep or Path(folder)
        for place in (
            work, work / "home", work / "etc", work / "etc" / "keys", work / "review",
        ):  # fmt: skip
            place.mkdir(exist_ok=True)
            os.chown(place, 1000, 1000)
        _try(work, options.images, _say)


def _say(name: str, found: str) -> None:
    sys.stdout.write(f"{name:<10} {found}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
