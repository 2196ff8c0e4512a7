"""Six weeks in the life of a plant and its models: what the nights do, and whether it holds.

python -m faults.simulate --out out/simulate

Thirty nights of a rendered plant in one Spark session: a line changes to another product, the
camera of the other one darkens, a week of nights is missed and caught up; one challenger is better
and one is worse; operators answer the next day, and only what they are shown. What came of it is
printed, drawn, and checked. A run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults import simulated_days, simulated_picture
from faults.kill_nightly import LOCAL
from faults.simulated_days import Plan, day_of
from faults.simulated_findings import Story, check, found, refused, sentences
from faults.simulated_nights import SETTINGS, WORSE, Nights
from pcb_spark.core.errors import ConfigError
from pcb_spark.lake import session
from pcb_spark.pipeline import config as configuration

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Days behind whose nights a challenger is trained, and the one whose night the command does too.
BETTER: Final = 39
WORSE_AFTER: Final = 44
BY_COMMAND: Final = 42

Step = tuple[str, Callable[[], list[str]]]


def steps(nights: Nights, story: Story) -> Iterator[Step]:
    """What happens at the plant, in order, each with a name."""
    plan = nights.plan
    yield "train", nights.train
    for number in range(plan.training, plan.days):
        day = day_of(number)
        yield f"arrive {day}", partial(_arrive, nights, number)
        if number in plan.missed:
            continue
        if number == plan.dark.stop:
            yield f"resume {day}", partial(nights.resume, number)
        night = nights.night_by_command if number == story.by_command else nights.night
        yield f"night {day}", partial(night, number)
        if number == story.better:
            yield f"better {day}", partial(nights.retrain, number)
        if number == story.worse:
            yield f"worse {day}", partial(nights.retrain, number, *WORSE)


def _arrive(nights: Nights, number: int) -> list[str]:
    nights.arrive(number)
    return []


def run(nights: Nights, story: Story) -> dict[str, list[str]]:
    """Do every step that wasn't done before, and say what each said.

    Raises
    ------
    ConfigError : the folder holds the nights of another plan.
    """
    book = nights.folder / "steps.json"
    plan = {"plan": [repr(nights.plan), repr(story)]}
    done: dict[str, list[str]] = json.loads(book.read_text()) if book.exists() else plan
    if done["plan"] != plan["plan"]:
        what = f"{nights.folder} holds other simulated nights"
        raise ConfigError(what, hint="name another folder with --out, or delete it")
    for name, step in steps(nights, story):
        if name in done:
            continue
        began = time.monotonic()
        done[name] = step()
        book.write_text(json.dumps(done, indent=1))
        _say(f"{name}  {time.monotonic() - began:.0f} s", *(f"  {each}" for each in done[name]))
    return done


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _session() -> SparkSession:
    return session.get(configuration.load(None, LOCAL), app_name="simulate", fits=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, say what came of it, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/simulate"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.disable(logging.INFO)
    folder, plan = options.out.resolve(), Plan(seed=options.seed)
    story = Story(better=BETTER, worse=WORSE_AFTER, by_command=BY_COMMAND)
    simulated_days.render(folder / "rendered", plan, range(plan.days), processes=2)
    nights = Nights(spark=_session(), folder=folder, plan=plan, settings=SETTINGS)
    said = run(nights, story)
    outcome = found(nights)
    simulated_picture.draw(outcome, folder / "nights.png", refused=refused(story, said))
    faults = check(outcome, story, said)
    _say(*sentences(outcome), f"picture {folder / 'nights.png'}", *faults)
    session.stop(nights.spark)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
