"""A night of a made-up plant of three lines against what was learnt of its first days."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from pcb_spark.core.errors import BundleError
from pcb_spark.lake.scopes import Scope
from pcb_spark.learning.near_slips import near_slips
from pcb_spark.monitor import drift, reference, words
from pcb_spark.monitor.findings import Finding, Night
from pcb_spark.monitor.reference import Reference
from pcb_spark.review.vigilance import Vigilance

DAYS = 15
LINES = ("L1", "L2", "L3")
NUMBERS = ("probability", "brightness", "sharpness")


def images_of(rng: np.random.Generator, day: int) -> pd.DataFrame:
    """60 images of each line, of 3 lots and 6 positions; days lie .15 apart, images 1."""
    n, frames = 60, []
    for line in LINES:
        values = rng.normal(0, 0.15, len(NUMBERS)) + rng.normal(0, 1, (n, len(NUMBERS)))
        frames.append(pd.DataFrame(values, columns=list(NUMBERS)).assign(
            capture_date=date(2026, 1, 5) + timedelta(days=day), line=line,
            lot=[f"{day}-{each}" for each in rng.integers(0, 3, n)],
            position=[f"R{each}" for each in rng.integers(0, 6, n)],
        ))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def counts_of(rng: np.random.Generator, day: int) -> pd.DataFrame:
    images = rng.poisson(2_000, len(LINES))
    return pd.DataFrame({
        "capture_date": date(2026, 1, 5) + timedelta(days=day), "line": LINES, "count": images,
        "unscorable": rng.binomial(images, 0.002),
    })  # fmt: skip


@cache
def plant() -> tuple[Reference, Night]:
    """What was learnt of the first days, and a night behind them that is like all others."""
    rng = np.random.default_rng(1)
    days = range(DAYS)
    known = reference.learn(
        pd.concat([images_of(rng, day) for day in days], ignore_index=True),
        pd.concat([counts_of(rng, day) for day in days], ignore_index=True),
        numbers=NUMBERS,
        features=(3,),
        unreadable={date(2026, 1, 5) + timedelta(days=day): day % 4 for day in days},
        lag_hours=np.exp(rng.normal(np.log(9), 0.3, DAYS)).tolist(),
        known={"line": LINES},
    )
    images, counts = images_of(rng, DAYS), counts_of(rng, DAYS)
    night = Night(images=images, counts=counts, unreadable=3, lag_hours=9.0, near=None)
    return known, night


def known() -> Reference:
    return plant()[0]


def quiet() -> Night:
    return plant()[1]


def looked(night: Night, before: list[Finding] | None = None) -> list[Finding]:
    return drift.look(night, known(), false_alarms_per_year=2.0, before=before or [])


def alarms(found: list[Finding]) -> set[tuple[str, str, str]]:
    return {(str(f.scope), f.number, f.statistic) for f in found if f.level == "alarm"}


def test_a_record_says_the_same_once_it_was_read_again() -> None:
    own = known()

    assert Reference.from_json(own.to_json()) == own
    with pytest.raises(BundleError, match="training reference can't be read"):
        Reference.from_json('{"format": 1}')
    with pytest.raises(BundleError, match="of another format"):
        Reference.from_json('{"format": 9}')


def test_every_line_and_number_is_looked_at_and_a_quiet_night_raises_nothing() -> None:
    found = looked(quiet())

    assert alarms(found) == set()
    seen = {(f.line, f.number) for f in found if f.statistic == "psi"}
    assert seen == {(line, number) for line in LINES for number in NUMBERS}
    assert {f.scope.kind for f in found} == {"line", "lot", "position", "overall"}


def test_a_line_that_darkens_is_named_and_no_other() -> None:
    images = quiet().images.copy()
    images.loc[images["line"] == "L2", "brightness"] -= 8
    night = dataclasses.replace(quiet(), images=images)

    first = looked(night)

    assert {name for name, _, _ in alarms(first)} == {"line=L2"}
    (mean,) = [f for f in first if f.key == ("line", "L2", "brightness", "mean")]
    assert mean.effect == pytest.approx(-8, abs=1.5)
    assert words.sentence(mean, date(2026, 1, 20)).startswith(
        "alarm of 2026-01-20: line L2: mean brightness "
    )


def test_what_is_less_far_off_takes_a_second_night() -> None:
    images = quiet().images.copy()
    images.loc[images["line"] == "L2", "brightness"] -= 1.9
    night = dataclasses.replace(quiet(), images=images)
    first = looked(night)
    key = ("line", "L2", "brightness", "mean")
    (once,), (twice,) = (
        [f for f in found if f.key == key] for found in (first, looked(night, first))
    )

    assert once.level != "alarm"
    assert twice.level == "alarm"
    assert twice.p_night == once.p_night
    back = [dataclasses.replace(f, effect=-f.effect) for f in first]
    (turned,) = [f for f in looked(night, back) if f.key == key]
    assert turned.p_value == once.p_value


def test_a_position_that_differs_from_its_line_is_named_as_such() -> None:
    images = quiet().images.copy()
    images.loc[(images["line"] == "L1") & (images["position"] == "R3"), "sharpness"] += 12
    found = looked(dataclasses.replace(quiet(), images=images))

    assert ("position=L1 R3", "sharpness", "mean") in alarms(found)


def test_counts_are_watched() -> None:
    counts = pd.DataFrame({"line": ["L1", "L2"], "count": [2_000, 2_000], "unscorable": [4, 900]})
    near = near_slips([0.05] * 40 + [0.9] * 10, near_until=0.1, expected=0.02)
    night = dataclasses.replace(
        quiet(), counts=counts, unreadable=3_000, lag_hours=2_000.0, near=near
    )

    assert {
        ("line=L2", "unscorable", "share"), ("line=L3", "images", "count"),
        ("overall", "unreadable", "share"), ("overall", "near_slips", "share"),
        ("overall", "verdict_lag_hours", "mean"),
    } <= alarms(looked(night))  # fmt: skip


def learnt(images: pd.DataFrame, counts: pd.DataFrame) -> Reference:
    return reference.learn(images, counts, numbers=NUMBERS, unreadable={}, lag_hours=[])


def test_plants_that_tell_little_are_watched_by_what_they_tell() -> None:
    """Each image at a place of its own, no line, no lot, and a number that is never there."""
    rng = np.random.default_rng(2)
    images = pd.concat([images_of(rng, day) for day in range(DAYS)], ignore_index=True).assign(
        position=lambda rows: [f"R{n}" for n in range(len(rows))], line=None, lot=None,
        sharpness=np.nan,
    )  # fmt: skip
    counts = pd.concat([counts_of(rng, day) for day in range(DAYS)]).assign(line=None)
    own = learnt(images, counts)
    night = Night(
        images=images[images["capture_date"] == date(2026, 1, 5)], counts=counts.head(3),
        unreadable=0, lag_hours=None, near=None,
    )  # fmt: skip

    found = drift.look(night, own, false_alarms_per_year=2.0)

    assert set(own.cells) == {""}
    assert set(own.cells[""]) == {"probability", "brightness"}
    assert {str(f.scope) for f in found} == {"overall"}
    assert Reference.from_json(own.to_json()) == own


def test_of_too_few_days_nothing_is_learnt() -> None:
    rng = np.random.default_rng(2)
    images = pd.concat([images_of(rng, day) for day in range(4)], ignore_index=True)
    own = learnt(images, pd.concat([counts_of(rng, day) for day in range(4)]))

    assert (own.cells, own.volumes, own.unscorable, own.lag) == ({}, {}, {}, None)
    assert drift.look(quiet(), own, false_alarms_per_year=2.0) == []
    nothing = Night(
        images=quiet().images.head(0), counts=quiet().counts, unreadable=0, lag_hours=None,
        near=None,
    )  # fmt: skip
    assert {f.family for f in looked(nothing)} == {"counts"}


def test_what_training_has_never_seen_is_named() -> None:
    own = dataclasses.replace(known(), known={"part_number": ("R0402",), "line": ()})
    seen = {"part_number": [("R0201", "L1", 7), ("R0402", "L1", 9)], "line": [("L9", "L9", 3)]}
    night = dataclasses.replace(quiet(), seen=seen)

    found = drift.look(night, own, false_alarms_per_year=2.0)

    (new,) = [f for f in found if f.statistic == "new"]
    assert (new.scope, new.level, new.n) == (Scope("part_number", "R0201"), "warn", 7)
    assert words.sentence(new, date(2026, 1, 20)) == (
        "warn of 2026-01-20: part_number R0201: never seen in training, n = 7"
    )


@pytest.mark.parametrize(
    ("number", "statistic", "family", "said"),
    [
        (
            "probability",
            "ks",
            "distributions",
            "scores are distributed otherwise, KS 0.3 where 0.1",
        ),
        ("images", "count", "counts", "0 images where 0 are usual"),
        ("unscorable", "share", "counts", "30.00% unscorable where 10.00% are usual"),
        ("verdict_lag_hours", "mean", "counts", "verdict lag hours 0.3 where 0.1 is usual"),
        (
            "brightness",
            "against_lines",
            "means",
            "mean brightness less that of the other lines 0.3",
        ),
    ],
)
def test_findings_in_words(number: str, statistic: str, family: str, said: str) -> None:
    found = Finding(
        family=family, scope=Scope("overall"), line=None, number=number, statistic=statistic,
        value=0.3, expected=0.1, effect=0.3, p_value=0.0, n=5, level="alarm",
    )  # fmt: skip

    assert words.sentence(found, date(2026, 1, 20)).startswith(f"alarm of 2026-01-20: {said}")


@pytest.mark.parametrize(
    ("caught", "level"), [(20, ""), (18, ""), (12, "warn"), (10, "alarm"), (0, "alarm")]
)
def test_a_shift_that_waves_known_defects_through_is_an_alarm(caught: int, level: str) -> None:
    shift = Vigilance(shift="2026-01-19 early", caught=caught, shown=20)
    found = looked(dataclasses.replace(quiet(), vigilance=[shift], may_miss=0.1))

    (missed,) = [f for f in found if f.number == "known_defects_missed"]
    assert (str(missed.scope), missed.n, missed.level) == ("shift=2026-01-19 early", 20, level)


def test_the_alarm_on_a_shift_is_said_of_the_shift() -> None:
    shift = Vigilance(shift="2026-01-19 early", caught=2, shown=10)
    found = looked(dataclasses.replace(quiet(), vigilance=[shift], may_miss=0.1))

    (missed,) = [f for f in found if f.level == "alarm"]
    assert words.sentence(missed, date(2026, 1, 20)) == (
        "alarm of 2026-01-20: shift 2026-01-19 early: 80% of the known defects passed as good "
        "where 10% may be, n = 10"
    )
