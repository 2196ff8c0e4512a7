"""What an edge machine needs to decide, checked one after the other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from pcb_spark.core import decisions, machine, self_test
from pcb_spark.core.errors import PcbSparkError

if TYPE_CHECKING:
    from pcb_spark.core.golden_book import Goldens
    from pcb_spark.core.share_cap import ShareCap
    from pcb_spark.serving.edge_home import Home

_LEAST_FREE = 1 << 30  # bytes


class Check(NamedTuple):
    """One line: whether it is as it should be, of what, and what was found."""

    ok: bool
    name: str
    found: str


def checks(home: Home) -> Iterator[Check]:
    """Check keys, bundle, self-test, machine and disk; what can't be checked is a failure."""
    yield _keys(home)
    yield from _bundle(home)
    yield _disk(home)


def _keys(home: Home) -> Check:
    try:
        return Check(True, "trusted keys", ", ".join(key.name for key in home.trusted()))
    except PcbSparkError as error:
        return Check(False, "trusted keys", str(error))


def _bundle(home: Home) -> Iterator[Check]:
    here = machine.describe()
    try:
        edge = home.open()
    except PcbSparkError as error:
        yield Check(False, "bundle", str(error))
        yield Check(True, "machine", _listed(here))
        return
    about = edge.manifest
    yield Check(True, "bundle", f"{about.model.model_version}, exported {about.created_at}")
    yield Check(True, "share cap", _cap(about.share_cap))
    if about.model.reading.is_own:
        yield _goldens(about.goldens)
    wrong = self_test.differences(edge, decisions.scorer_of(edge))
    number = len(about.self_test)
    yield Check(not wrong, "self-test", wrong[0] if wrong else f"{number} images, bit for bit")
    others = {name: v for name, v in about.made_with.items() if here.get(name) != v}
    found = _listed(here) + (f"; the bundle was made with {_listed(others)}" if others else "")
    yield Check(True, "machine", found)


def _cap(cap: ShareCap | None) -> str:
    """Of which night it is: a cap goes on until an update brings a newer one."""
    if cap is None:
        return "none: the model's own thresholds decide"
    days = (datetime.now(UTC).date() - date.fromisoformat(cap.night)).days
    return f"of the night {cap.night}, {days} days ago, sha256 {cap.sha256[:16]}"


def _goldens(told: Goldens | None) -> Check:
    """How many there are, and since when the newest is good; without one no image is decided."""
    if told is None or not told.own:
        return Check(False, "golden images", "none: export again once `pcb-spark golden` made some")
    newest = max(each.valid_from for each in told.own)
    return Check(True, "golden images", f"{len(told.own)}, the newest good from {newest}")


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(home.folder).free
    writable = os.access(home.folder, os.W_OK)
    found = f"{free / 2**30:.1f} GiB free in {home.folder}" + ("" if writable else ", not writable")
    return Check(writable and free >= _LEAST_FREE, "disk", found)


def _listed(about: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())
