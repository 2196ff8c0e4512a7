"""Run everything on one camera drop from several stores, and compare the scores bit for bit.

python -m faults.prove_stores --data drop [--backbone resnet50.onnx] [--stores file,wasb,s3a]
    [--set KEY=VALUE ...]

The drop is uploaded to a server on loopback; drop, tables and checkpoint lie there. The scores of
each run stay in ``out/stores/<store>/answer.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from faults import servers
from pcb_spark.lake import filesystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_UPLOADS = 8
#: The path of an image below the drop, and its id, probability, decision and review.
Scores = dict[str, tuple[str, str | None, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The scores of a run, the seconds that upload and run took, and what it printed.

    ``leaks`` says where a secret stands: in the output, Spark's event log, or a file or table.
    """

    scores: Scores
    upload_s: float
    run_s: float
    output: str
    leaks: list[str]


def run(
    stores: Sequence[servers.Server], drop: Path, work: Path, overrides: Sequence[str]
) -> list[Outcome]:
    """Upload ``drop`` to each store and run the whole job on it, in one process for all of them.

    What leaks into the output or into Spark's event log counts against each store.

    Raises
    ------
    RuntimeError : the process failed; with the end of what it said.
    """
    events, answer = work / "events", work / "answer.json"
    events.mkdir(parents=True, exist_ok=True)
    conf: dict[str, str] = {
        "spark.eventLog.enabled": "true", "spark.eventLog.compress": "false",
        "spark.eventLog.dir": events.resolve().as_uri(),
    }  # fmt: skip
    environment = dict(os.environ)
    for store in stores:
        conf |= store.settings
        environment |= store.environment
    pairs = ", ".join(f'"{key}" = "{value}"' for key, value in conf.items())
    settings = [f"spark.conf={{{pairs}}}", *overrides]
    command = [sys.executable, "-m", "faults.prove_stores", "--child", str(drop), str(answer)]
    command += [word for store in stores for word in ("--root", store.root)]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        roots = " and ".join(store.root for store in stores)
        msg = f"the run on {roots} failed\n{done.stdout[-6000:]}"
        raise RuntimeError(msg)
    said = {"output": done.stdout.encode()}
    said |= {str(path): path.read_bytes() for path in events.rglob("*") if path.is_file()}
    leaks = [name for name, content in said.items() if _holds_secret(content)]
    return [
        Outcome(
            scores={path: tuple(row) for path, row in found["scores"].items()},
            upload_s=found["upload_s"],
            run_s=found["run_s"],
            output=done.stdout,
            leaks=leaks + found["leaks"],
        )
        for found in json.loads(answer.read_text(encoding="utf-8"))
    ]


def differences(one: Scores, other: Scores) -> list[str]:
    """The images whose scores aren't the same in every bit, or that one of the runs lacks."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def leaks(spark: SparkSession, out: str) -> list[str]:
    """The tables and files below ``out`` in which one of the planted secrets stands."""
    from pyspark.sql import functions as F

    files = filesystem.below(spark, out)
    others = [path for path in files if not path.endswith(".parquet")]
    found = [
        path for path in others if _holds_secret(filesystem.read_whole(spark, f"{out}/{path}"))
    ]
    for name in sorted({path.partition("/")[0] for path in files if path.endswith(".parquet")}):
        parquet = spark.read.option("recursiveFileLookup", "true")
        rows = parquet.option("pathGlobFilter", "*.parquet").parquet(f"{out}/{name}")
        texts = F.to_json(F.struct(*(n for n, kind in rows.dtypes if kind != "binary")))
        # Looked through here: a filter of Spark's would put the secret into its event log.
        lines = rows.select(texts).toLocalIterator()
        found += [name] * any(_holds_secret(text.encode()) for (text,) in lines)
    return found


def _holds_secret(content: bytes) -> bool:
    return any(secret.encode() in content for secret in servers.SECRETS)


def _child(drop: Path, answer: Path, roots: Sequence[str], overrides: Sequence[str]) -> int:
    """Run on each store after the other, and leave what came of it in ``answer``."""
    from pcb_spark.lake import jars, session
    from pcb_spark.pipeline import config as configuration

    properties = jars.read_properties(jars.default_properties_file())
    connectors = jars.with_connectors(properties, roots)
    # A session brings the connector of its own store alone.
    os.environ["SPARK_DIST_CLASSPATH"] = os.pathsep.join(map(str, connectors))
    spark = session.get(configuration.load(None, overrides), fits=True)
    found = [_answer(spark, drop, root, overrides) for root in roots]
    answer.write_text(json.dumps(found), encoding="utf-8")
    session.stop(spark)
    return 0


def _answer(
    spark: SparkSession, drop: Path, root: str, overrides: Sequence[str]
) -> dict[str, object]:
    from pcb_spark import cli

    source, out = f"{root}/drop", f"{root}/out"
    began = time.monotonic()
    _upload(spark, drop, source)
    uploaded = time.monotonic()
    settings = [f'paths.drop="{source}"', f'paths.out="{out}"', *overrides]
    code = cli.main(["run", *(word for each in settings for word in ("--set", each))])
    if code != 0:
        raise SystemExit(code)
    ended = time.monotonic()
    uri = f"{filesystem.qualified(spark, source)}/"
    scores = {
        row.source_uri.removeprefix(uri): (
            row.image_id,
            None if row.probability is None else float(row.probability).hex(),
            row.decision,
            row.review,
        )
        for row in spark.read.parquet(f"{out}/scores").collect()
    }
    return {
        "scores": scores,
        "leaks": leaks(spark, out),
        "upload_s": uploaded - began,
        "run_s": ended - uploaded,
    }


def _upload(spark: SparkSession, drop: Path, uri: str) -> None:
    """Copy a drop, several files at a time: a store takes its time over each."""
    files = [path for path in drop.rglob("*") if path.is_file()]
    targets = [f"{uri}/{path.relative_to(drop).as_posix()}" for path in files]
    for folder in sorted({target.rpartition("/")[0] for target in targets}):
        filesystem.make_folder(spark, folder)
    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(filesystem.upload, repeat(spark), files, targets))


def main(arguments: Sequence[str]) -> int:
    """Run and compare; 1 where scores differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backbone", type=Path)
    parser.add_argument("--stores", default="file,wasb,s3a")
    parser.add_argument("--out", type=Path, default=Path("out/stores"), help="keeps the scores")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--root", action="append", dest="roots", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        drop, answer = options.child
        return _child(drop, answer, options.roots, options.overrides)
    overrides = list(options.overrides)
    if options.backbone:
        overrides.append(f'backbone.weights="{options.backbone.resolve()}"')
    first: Scores | None = None
    worst = 0
    for name in options.stores.split(","):
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(servers.SERVERS[name](folder / name))
            (outcome,) = run([server], options.data, options.out / name, overrides)
        first = first or outcome.scores
        differing = differences(first, outcome.scores)
        worst = max(worst, len(differing))
        sys.stdout.write(
            f"{outcome.output}\n{name}: {len(outcome.scores)} scores, {len(differing)} differ, "
            f"upload {outcome.upload_s:.0f} s, run {outcome.run_s:.0f} s, "
            f"{len(outcome.leaks)} secrets shown\n"
        )
        sys.stdout.flush()
    return min(worst, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
