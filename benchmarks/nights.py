"""The last lots of a run's tables as nights, by a champion of the lots before.

    make lots-as-nights OUT=out/run BACKBONE=resnet50.onnx

A copy of the tables is cut back to the first lots; ``pcb-spark train`` and ``pcb-spark model
promote`` make a champion of them. Then each following day comes in, ``pcb-spark nightly`` decides
it, and its verdicts come in afterwards, so that nothing has seen them before. Features are those of
the tables; the same graph would give the same ones again. Started again with the same ``--folder``
it goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow.parquet as pq
import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads

from pcb_spark import cli
from pcb_spark.core import names, policy
from pcb_spark.core.errors import MonitorAlarm
from pcb_spark.lake import session
from pcb_spark.lake.catalogue import (
    DECISIONS,
    FEATURE_SET,
    FEATURES,
    IMAGES,
    PROMOTIONS,
    SCORES,
    VERDICTS,
)  # fmt: skip
from pcb_spark.pipeline import config as configuration

_BY_DAY: Final = (IMAGES, FEATURES)
_SETTINGS: Final = (
    "report.gallery=0", "folds.learning_curve=0", "policy.bootstrap_resamples=0",
    "scoring.reuse_features=true",
)  # fmt: skip


def days_of(images: pd.DataFrame, lots: int) -> tuple[list[str], list[str]]:
    """The days of the first lots, in the order of time, and the days after the last of these.

    Parameters
    ----------
    images : ``lot`` and ``capture_date`` of each image.
    """
    first_day = images.groupby(names.LOT)[names.CAPTURE_DATE].min().sort_values()
    known = images[images[names.LOT].isin(first_day.index[:lots])]
    last = known[names.CAPTURE_DATE].max()
    days = sorted(images[names.CAPTURE_DATE].unique())
    return [day for day in days if day <= last], [day for day in days if day > last]


def table(rows: pd.DataFrame) -> str:
    """A line a night and one of all: images, defects, what was cleared, and what slipped.

    Parameters
    ----------
    rows : ``capture_date``, ``lot``, ``verdict``, ``decision``, ``review`` of each image.
    """
    heads = ("night", "lot", "images", "defects", "slips", "good images cleared", "cleared",
             "nobody looks")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    nights = [
        (str(day), ", ".join(sorted(own[names.LOT].unique())), own)
        for day, own in rows.groupby(names.CAPTURE_DATE)
    ]
    for night, lot, own in [*nights, ("all", "", rows)]:
        lines.append(f"| {' | '.join((night, lot, *_figures(own)))} |")
    return "\n".join(lines)


def _figures(rows: pd.DataFrame) -> Iterator[str]:
    cleared = rows[names.DECISION] == policy.PASS
    fails = rows[names.VERDICT] == names.VERDICT_FAIL
    good = rows[names.VERDICT] == names.VERDICT_PASS
    yield f"{len(rows):,}"
    yield f"{fails.sum():,}"
    yield f"{(fails & cleared).sum():,}"
    yield f"{(good & cleared).sum() / max(good.sum(), 1):.0%}"
    yield f"{cleared.mean():.0%}"
    yield f"{rows[names.REVIEW].isna().mean():.0%}"


class Plant:
    """A copy of the tables of ``source`` at ``out``, into which days come one by one."""

    def __init__(self, source: Path, out: Path, settings: Sequence[str]) -> None:
        self.source, self.out = source, out
        made = json.loads((source / FEATURE_SET / "feature_set.json").read_text("utf-8"))
        precision = f"backbone.precision={made['precision']}"  # else train may make others
        self.settings = (f"paths.out='{out}'", precision, *_SETTINGS, *settings)
        self._verdicts = pd.read_parquet(source / VERDICTS)
        self.images = _described(source / IMAGES)

    def begin(self, days: Iterable[str]) -> None:
        """Bring in the days of the first lots with their verdicts, and make a champion of them."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        shutil.copytree(self.source / FEATURE_SET, self.out / FEATURE_SET)
        for day in days:
            self.bring_in(day)
            self.judge(day)
        self.call("train")
        self.call("model", "promote", "--who", "benchmarks")

    def bring_in(self, day: str) -> None:
        """The images of a day come in, with their features."""
        for name in _BY_DAY:
            place = f"{names.CAPTURE_DATE}={day}"
            shutil.copytree(self.source / name / place, self.out / name / place, dirs_exist_ok=True)

    def judge(self, day: str) -> None:
        """The verdicts of a day come in."""
        ids = self.images[self.images[names.CAPTURE_DATE] == day][names.IMAGE_ID]
        own = self._verdicts[self._verdicts[names.IMAGE_ID].isin(ids)]
        folder = self.out / VERDICTS
        folder.mkdir(exist_ok=True)
        own.to_parquet(folder / f"{day}.parquet", index=False)

    def night(self, day: str) -> None:
        """Score, watch and publish a day."""
        self.call("nightly", "--date", day, "--no-ingest")

    def call(self, *words: str) -> None:
        """Run a command in this process; an alarm of the monitor is told and no failure."""
        told = [part for each in self.settings for part in ("--set", each)]
        code = cli.main([*words, *told])
        if code not in (0, MonitorAlarm.exit_code):
            raise SystemExit(code)

    def decided(self) -> pd.DataFrame:
        """What ``table`` wants of all nights."""
        found = pd.read_parquet(self.out / DECISIONS)
        chosen = found[[names.IMAGE_ID, names.DECISION, names.REVIEW]]
        verdicts = self._verdicts[[names.IMAGE_ID, names.VERDICT]]
        return chosen.merge(self.images, on=names.IMAGE_ID).merge(verdicts, on=names.IMAGE_ID)


def _described(images: Path) -> pd.DataFrame:
    """Id, lot and date of each image, without pictures."""
    columns = [names.IMAGE_ID, names.LOT]
    days = [
        pq.read_table(folder, columns=columns).to_pandas().assign(
            **{names.CAPTURE_DATE: folder.name.partition("=")[2]}
        )
        for folder in sorted(images.glob(f"{names.CAPTURE_DATE}=*"))
    ]  # fmt: skip
    return pd.concat(days, ignore_index=True)


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def main() -> int:
    """Play the nights and print their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="tables of a run")
    parser.add_argument("--lots", type=int, default=6, help="so many lots make the champion (6)")
    parser.add_argument("--backbone", help="weights, in place of the pinned ones")
    parser.add_argument("--folder", type=Path, help="an empty folder that stays")
    options = parser.parse_args()
    weights = [f"backbone.weights='{options.backbone}'"] if options.backbone else []
    with _place(options.folder) as folder:
        plant = Plant(options.source, (folder / "out").absolute(), weights)
        known, following = days_of(plant.images, options.lots)
        session.get(configuration.load(None, list(plant.settings)), fits=True)
        if not (plant.out / PROMOTIONS).exists():
            plant.begin(known)
        for day in following:
            if not (plant.out / SCORES / f"{names.CAPTURE_DATE}={day}").exists():
                plant.bring_in(day)
                plant.night(day)
            plant.judge(day)
        sys.stdout.write(f"{table(plant.decided())}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
