"""What came of simulated nights: by date, of the whole, and whether it is as it has to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import pandas as pd

from faults import simulated_days
from faults.simulated_days import DARK_LINE, day_of
from pcb_spark.core import names, policy
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import IMAGES, MONITOR, VERDICTS
from pcb_spark.learning import gate
from pcb_spark.monitor import findings, realised
from pcb_spark.pipeline import decisions
from pcb_spark.pipeline.artifacts import read_reviews

if TYPE_CHECKING:
    from faults.simulated_days import Plan
    from faults.simulated_nights import Nights
    from pcb_spark.learning.rates import Rate

PROMISED: Final = 0.05
_CONFIDENCE: Final = 0.975  # of each bound: 95 % between both
_TRUE: Final = "true_verdict"
_SECOND: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Behind which nights a better and a worse challenger are trained, None for none.

    ``by_command`` is the day whose night the command does as well.
    """

    better: int | None
    worse: int | None
    by_command: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it.

    Attributes
    ----------
    days : by capture date, ``images``, ``cleared``, ``shown``, ``defects``, ``slips``; of images
        with a threshold above 0 ``gated`` and ``gated_slips``, defects both; and the share cleared
        of each line.
    decisions : how often each image was decided, and how many images each date has.
    estimates : by the day of the verdict, the slip rate as it was known then: ``value``,
        ``lower``, ``upper``.
    told : rows of ``monitor`` with a level.
    champions : from when on which version scored.
    """

    plan: Plan
    days: pd.DataFrame
    doubled: int
    missing: Sequence[date]
    estimates: pd.DataFrame
    estimate: Rate
    told: pd.DataFrame
    champions: Mapping[date, str]

    @property
    def slip_rate(self) -> float:
        """True slips of all true defects, 0..1."""
        return float(self.days["slips"].sum() / self.days["defects"].sum())

    @property
    def gated_slip_rate(self) -> float:
        """The same of what a threshold above 0 decided: that which the estimate is of."""
        return float(self.days["gated_slips"].sum() / self.days["gated"].sum())


def found(nights: Nights) -> Found:
    """Read the tables, and hold them against what the renderer knows."""
    with nights.job("report", nights.moment) as job:
        images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
        named = images.select(names.IMAGE_ID, names.SOURCE_URI)
        decided: pd.DataFrame = decisions.read(job).join(named, names.IMAGE_ID).toPandas()
        told = tables.read(job.spark, job.table(MONITOR), schemas.MONITOR).where("level != ''")
        verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
        reviews = read_reviews(job)
        assert reviews is not None
        seen = gate.seen_defects(reviews, verdicts).toPandas()
        came = images.groupBy(names.CAPTURE_DATE).count().collect()
        alarms = told.toPandas()
    known = _truth(nights)
    rows = decided.assign(image=decided[names.SOURCE_URI].map(_image)).merge(known, on="image")
    expected = {day_of(n) for n in range(nights.plan.training, nights.plan.days)}
    by_day = rows.groupby(names.CAPTURE_DATE).size()
    return Found(
        plan=nights.plan,
        days=_by_day(rows),
        doubled=int(rows["image"].duplicated().sum()),
        missing=[row[0] for row in came if row[0] in expected and by_day.get(row[0]) != row[1]],
        estimates=_estimates(seen),
        estimate=_estimate(seen),
        told=alarms,
        champions=_champions(rows),
    )


def _image(uri: str) -> str:
    return uri[uri.rindex("images/") :]


def _truth(nights: Nights) -> pd.DataFrame:
    rows = [
        (row["image"], row["verdict"])
        for number in range(nights.plan.training, nights.plan.days)
        for row in simulated_days.truth(nights.rendered, number)
    ]
    return pd.DataFrame(rows, columns=["image", _TRUE])


def _by_day(rows: pd.DataFrame) -> pd.DataFrame:
    cleared, fails = rows[names.DECISION] == policy.PASS, rows[_TRUE] == names.VERDICT_FAIL
    gated = rows[names.THRESHOLD] > 0
    told = pd.DataFrame({
        names.CAPTURE_DATE: rows[names.CAPTURE_DATE], "images": 1, "cleared": cleared,
        "shown": rows[names.REVIEW].notna(), "defects": fails, "slips": fails & cleared,
        "gated": fails & gated, "gated_slips": fails & gated & cleared,
    }).astype({"images": int})  # fmt: skip
    found = told.groupby(names.CAPTURE_DATE).sum().astype(int)
    by_line = cleared.groupby([rows[names.CAPTURE_DATE], rows[names.LINE]]).mean().unstack()
    return found.join(by_line)


def _estimate(seen: pd.DataFrame) -> Rate:
    """Of defects seen behind the gate, whose scores say nothing of whether they were."""
    chance = float(seen[names.SLIP_SEEN_PROBABILITY].mean())
    slipped = int(seen["slipped"].sum())
    return realised.slip_rate(slipped, len(seen), seen=chance, side=_CONFIDENCE)


def _estimates(seen: pd.DataFrame) -> pd.DataFrame:
    days = seen["seen_at"].dt.date
    known = {day: _estimate(seen[days <= day]) for day in sorted(days.unique())}
    rows = [(day, rate.value, rate.lower, rate.upper) for day, rate in known.items()]
    return pd.DataFrame(rows, columns=["day", "value", "lower", "upper"])


def _champions(rows: pd.DataFrame) -> dict[date, str]:
    """The first date that each version decided."""
    first = rows.groupby(names.REGISTRY_VERSION)[names.CAPTURE_DATE].min()
    return {day: str(version) for version, day in first.items()}


def check(outcome: Found, story: Story, said: Mapping[str, Sequence[str]]) -> list[str]:
    """What isn't as it has to be, in sentences."""
    return [*_of_dates(outcome), *_of_slips(outcome), *_of_alarms(outcome), *_of_steps(story, said)]


def _of_dates(outcome: Found) -> Iterator[str]:
    plan = outcome.plan
    every = {day_of(number) for number in range(plan.training, plan.days)}
    for day in sorted({*outcome.missing, *(every - {*outcome.days.index})}):
        yield f"{day} isn't decided whole"
    if outcome.doubled:
        yield f"{outcome.doubled} images were decided twice"


def _of_slips(outcome: Found) -> Iterator[str]:
    if outcome.slip_rate > PROMISED:
        yield f"{outcome.slip_rate:.1%} of all defects slipped, {PROMISED:.0%} promised"
    if not outcome.estimate.lower <= outcome.gated_slip_rate <= outcome.estimate.upper:
        yield (
            f"{outcome.gated_slip_rate:.1%} of defects slipped behind the gate, outside of the "
            f"{outcome.estimate.lower:.1%} to {outcome.estimate.upper:.1%} that were told"
        )


def _of_alarms(outcome: Found) -> Iterator[str]:
    dark = [day_of(number) for number in outcome.plan.dark]
    alarms = outcome.told[outcome.told["level"] == findings.ALARM]
    named = alarms[alarms[names.LINE] == DARK_LINE]
    if dark and not named[names.CAPTURE_DATE].isin(dark[:_SECOND]).any():
        yield f"{DARK_LINE} darkened on {dark[0]}, and no alarm named it within two nights"
    right = (alarms[names.LINE] == DARK_LINE) & alarms[names.CAPTURE_DATE].isin(dark)
    for row in alarms[~right].to_dict("records"):
        yield (
            f"an alarm of {row[names.CAPTURE_DATE]} names {row[names.LINE] or 'no line'}: "
            f"{row['number']} {row['statistic']} {row['value']:.3g} for {row['expected']:.3g}"
        )


def refused(story: Story, said: Mapping[str, Sequence[str]]) -> list[date]:
    """The days behind whose nights a challenger was trained and not promoted."""
    tried = [
        (day_of(number), said[f"{kind} {day_of(number)}"])
        for number, kind in ((story.better, "better"), (story.worse, "worse"))
        if number is not None
    ]
    return [day for day, notes in tried if not _promoted(notes)]


def _promoted(notes: Sequence[str]) -> bool:
    return any("is champion in place of" in note for note in notes)


def _of_steps(story: Story, said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for number, kind, promoted in ((story.better, "better", True), (story.worse, "worse", False)):
        if number is None:
            continue
        if _promoted(said[f"{kind} {day_of(number)}"]) != promoted:
            yield f"the {kind} challenger was {'refused' if promoted else 'promoted'}"
    for name, notes in said.items():
        yield from (f"{name} is {note}" for note in notes if note.startswith("unlike the command"))


def sentences(outcome: Found) -> list[str]:
    """What came of it, of the whole."""
    whole, rate = outcome.days.sum(), outcome.estimate
    levels = Counter(outcome.told["level"])
    return [
        f"{len(outcome.days)} dates, {whole['images']:.0f} images, each decided once",
        f"{whole['cleared'] / whole['images']:.1%} cleared, {whole['shown'] / whole['images']:.1%} "
        "shown to operators, audit and control boards among them",
        f"true slips: {whole['slips']:.0f} of {whole['defects']:.0f} defects, "
        f"{outcome.slip_rate:.2%}; {PROMISED:.0%} promised",
        f"behind the gate {outcome.gated_slip_rate:.2%} of {whole['gated']:.0f}; told by "
        f"{rate.n} seen defects {rate.value or 0:.2%} [{rate.lower:.2%}, {rate.upper:.2%}]",
        f"monitor: {levels[findings.ALARM]} alarms, {levels[findings.WARN]} warnings",
        *(f"version {version} decides from {day} on" for day, version in outcome.champions.items()),
    ]
