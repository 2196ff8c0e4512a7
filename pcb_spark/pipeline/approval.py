"""Which version may score: the record of promotions, and the alias that has to agree with it.

An alias in the registry moves with a click and says neither who nor why. So the table
``promotions``, to which rows are only added, is what counts; where the alias names another version
than its last row, somebody moved it, and nothing is scored until somebody promotes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from pcb_spark.core.errors import ApprovalError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import PROMOTIONS
from pcb_spark.pipeline.registry import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Bundle
    from pcb_spark.lake.run import Run
    from pcb_spark.pipeline.registry import Registry, Version

PROMOTE: Final = "promote"
ROLLBACK: Final = "rollback"

_HINT: Final = (
    "`pcb-spark model compare` shows both; `pcb-spark model promote` or `pcb-spark model rollback` "
    "says who decided and why"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A row of ``promotions``."""

    number: int
    promoted_at: datetime
    action: str
    model: str
    from_version: str | None
    to_version: str
    model_version: str
    bundle_sha256: str
    trained_until: date
    who: str
    why: str | None
    forced: bool
    evidence: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Who decided, why, whether against the gate, and what the gate had found (JSON)."""

    action: str
    who: str
    why: str | None = None
    forced: bool = False
    evidence: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The version that scores, opened; it stays the same for as long as a run lasts."""

    version: Version
    bundle: Bundle


def history(run: Run, model: str) -> list[Promotion]:
    """The promotions of a model, the first one first."""
    if not tables.exists(run.spark, run.table(PROMOTIONS)):
        return []
    rows = tables.read(run.spark, run.table(PROMOTIONS), schemas.PROMOTIONS).collect()
    found = [Promotion(**row.asDict()) for row in rows if row["model"] == model]
    return sorted(found, key=lambda each: each.number)


def champion(run: Run, registry: Registry) -> Champion:
    """Open the champion.

    Raises
    ------
    ApprovalError : nobody promoted one, or the alias names another one than was promoted.
    BundleError : its files are not those that were promoted.
    """
    past, named = history(run, registry.model), registry.find(CHAMPION)
    if not past:
        raise ApprovalError(
            f"nobody has promoted a version of {registry.model} yet",
            got=f"the alias {CHAMPION} of {_called(named)}" if named else None,
            hint=_HINT,
        )
    if named is None or named.number != past[-1].to_version:
        raise ApprovalError(
            f"no promotion made {_called(named)} the champion of {registry.model}",
            expected=f"version {past[-1].to_version}, by the last row of {PROMOTIONS}",
            got=f"the alias {CHAMPION} was moved to {_called(named)}",
            hint=_HINT,
        )
    return Champion(version=named, bundle=registry.read(named, past[-1].bundle_sha256))


def promote(run: Run, registry: Registry, version: Version, decided: Decided) -> Promotion:
    """Note that a version becomes champion, and let the alias name it.

    Raises
    ------
    BundleError : its files are not those that were registered.
    """
    manifest = registry.read(version, version.bundle_sha256).manifest
    past = history(run, registry.model)
    made = Promotion(
        number=past[-1].number + 1 if past else 1,
        promoted_at=datetime.now(UTC),
        action=decided.action,
        model=registry.model,
        from_version=past[-1].to_version if past else None,
        to_version=version.number,
        model_version=version.model_version,
        bundle_sha256=version.bundle_sha256,
        trained_until=date.fromisoformat(manifest.training_window["until"]),
        who=decided.who,
        why=decided.why,
        forced=decided.forced,
        evidence=decided.evidence,
        run_id=run.run_id,
    )
    row = tuple(getattr(made, name) for name in schemas.PROMOTIONS.names)
    # Killed between the two, the alias disagrees: nights stop, and promoting once more mends it.
    tables.append_rows(run.spark, [row], run.table(PROMOTIONS), schemas.PROMOTIONS)
    registry.point(CHAMPION, version)
    if CHALLENGER in version.aliases:
        registry.release(CHALLENGER)
    return made


def before(past: list[Promotion]) -> Promotion:
    """The promotion of the version that was champion before the present one came.

    Raises
    ------
    ApprovalError : there was none.
    """
    present = past[-1].to_version if past else None
    came = [each for each in past if each.action == PROMOTE and each.to_version == present]
    earlier = came[-1].from_version if came else None
    found = [each for each in past if each.to_version == earlier]
    if not found:
        raise ApprovalError(
            "there is no champion before the present one to go back to",
            got=f"version {present}" if present else "no promotion at all",
            hint="`pcb-spark model history` shows all; name a version with "
            "`pcb-spark model promote`",
        )
    return found[-1]


def _called(version: Version | None) -> str:
    return f"version {version.number}" if version else "no version"
