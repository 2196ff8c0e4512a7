"""Simulated nights as a picture: what was cleared, what slipped, what was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.simulated_days import CHANGED_LINE, DARK_LINE, day_of
from faults.simulated_findings import PROMISED, Found
from pcb_spark.core import names
from pcb_spark.monitor import findings

if TYPE_CHECKING:
    import pandas as pd

_COLOURS = {DARK_LINE: "#4477aa", CHANGED_LINE: "#cc6677"}
_LEVELS = {findings.WARN: ("#ddaa33", "o", 18), findings.ALARM: ("#bb2233", "D", 42)}
_GREY = "#777777"


def draw(outcome: Found, path: Path, *, refused: Sequence[date] = ()) -> None:
    """Write a PNG of three panels over the capture dates.

    ``refused`` are the dates behind whose nights a challenger wasn't promoted.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        3, figsize=(10, 8.5), sharex=True, layout="constrained", height_ratios=(3, 3, 2)
    )
    _cleared(panels[0], outcome)
    _slips(panels[1], outcome)
    _told(panels[2], outcome)
    for panel in panels:
        _happenings(panel, outcome, refused)
        panel.spines[["top", "right"]].set_visible(False)
    mondays = [day for day in outcome.days.index if day.weekday() == 0]
    panels[2].set_xticks(mondays, [f"{day.day} {day:%b}" for day in mondays])
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cleared(panel: Any, outcome: Found) -> None:
    days = outcome.days
    for line, colour in _COLOURS.items():
        panel.plot(days.index, days[line], color=colour, marker=".", label=f"line {line}")
    whole = days["cleared"] / days["images"]
    panel.plot(days.index, whole, color="black", linewidth=2, label="both")
    panel.set_ylabel("share cleared of all images")
    panel.set_ylim(0, 1)
    panel.legend(loc="upper left", ncols=3, frameon=False)


def _slips(panel: Any, outcome: Found) -> None:
    days, known = outcome.days, outcome.estimates
    truth = days["gated_slips"].cumsum() / days["gated"].cumsum()
    panel.plot(days.index, truth, color="black", linewidth=2, label="true, until then")
    panel.plot(known["day"], known["value"], color="#117733", label="as audit and control tell it")
    panel.fill_between(
        known["day"], known["lower"], known["upper"], color="#117733", alpha=0.15, linewidth=0,
        label="its 95 % interval",
    )  # fmt: skip
    panel.axhline(PROMISED, color="#bb2233", linestyle="--", label="promised")
    panel.set_ylim(0, max(0.12, 1.4 * float(known["upper"].iloc[-1])))
    panel.set_ylabel("slips of true defects")
    panel.legend(loc="upper right", ncols=2, frameon=False)


def _told(panel: Any, outcome: Found) -> None:
    places = {None: "no line", DARK_LINE: f"line {DARK_LINE}", CHANGED_LINE: f"line {CHANGED_LINE}"}
    rows: pd.DataFrame = outcome.told
    for level, (colour, marker, size) in _LEVELS.items():
        own = rows[rows["level"] == level]
        heights = [list(places).index(line) for line in own[names.LINE]]
        panel.scatter(
            own[names.CAPTURE_DATE], heights, s=size, color=colour, marker=marker,
            label={findings.WARN: "warning", findings.ALARM: "alarm"}[level],
        )  # fmt: skip
    panel.set_yticks(range(len(places)), list(places.values()))
    panel.set_ylim(-0.6, len(places) - 0.1)
    panel.legend(loc="upper left", ncols=2, frameon=False)


def _happenings(panel: Any, outcome: Found, refused: Sequence[date]) -> None:
    plan = outcome.plan
    top = panel.get_subplotspec().rowspan.start == 0
    for days, colour, what in (
        (plan.dark, "#ddaa33", f"{DARK_LINE} dark"),
        (plan.missed, "#bbbbbb", "no nights"),
    ):
        if len(days):
            panel.axvspan(day_of(days[0]), day_of(days[-1]), color=colour, alpha=0.25, linewidth=0)
            _label(panel, day_of(days[0]), what, wanted=top)
    told = {day_of(plan.changes): f"{CHANGED_LINE} makes\nanother product"}
    told |= {day: f"version {v}\nscores" for day, v in [*outcome.champions.items()][1:]}
    told |= dict.fromkeys(refused, "challenger\nrefused")
    for place, (day, what) in enumerate(sorted(told.items())):
        panel.axvline(day, color=_GREY, linestyle=":")
        _label(panel, day, what, wanted=top, height=0.02 + 0.1 * (place % 2))


def _label(panel: Any, day: date, what: str, *, wanted: bool, height: float = 0.02) -> None:
    if wanted:
        panel.annotate(
            what, (day, height), xycoords=("data", "axes fraction"), fontsize=8, color="#333333",
            xytext=(3, 0), textcoords="offset points",
        )  # fmt: skip
