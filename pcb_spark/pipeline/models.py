"""``pcb-spark model``: what is registered, and who becomes champion."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pcb_spark.core import bundle
from pcb_spark.core.errors import ApprovalError, ConfigError
from pcb_spark.lake.catalogue import BUNDLE
from pcb_spark.learning import promotion
from pcb_spark.pipeline import approval, model_lines, registry
from pcb_spark.pipeline.comparison import (
    Contender,
    compare_on_spark,
    contender,
    parity,
    parity_refusals,
)
from pcb_spark.pipeline.register import register

if TYPE_CHECKING:
    from pcb_spark.learning.promotion import Comparison
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.registry import Registry, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who says so, and why."""

    who: str
    why: str | None


def run_list(job: Job) -> list[Version]:
    """List the versions, and which of them the record calls champion."""
    opened = registry.open_registry(job.config)
    past = approval.history(job, opened.model)
    found = opened.versions()
    job.notes.extend(model_lines.versions(found, past))
    return found


def run_show(job: Job, *, version: str) -> Version:
    """Show one version: what it promises, what it was trained on, and its figures."""
    opened = registry.open_registry(job.config)
    found = opened.require(version)
    with opened.files(found) as folder:
        manifest = bundle.read(folder / BUNDLE, where=f"version {found.number}").manifest
    past = [p for p in approval.history(job, opened.model) if p.to_version == found.number]
    job.notes.extend(model_lines.version(found, manifest, past))
    return found


def run_history(job: Job) -> None:
    """Show every promotion: who, when, why, from, to."""
    past = approval.history(job, job.config.registry.model)
    job.notes.extend(model_lines.promotions(past) or ["nobody has promoted a version yet"])


def run_model_register(job: Job) -> None:
    """Register the bundle of this output."""
    register(job)


def run_compare(job: Job, *, version: str) -> Comparison:
    """Compare a version with the champion, and change nothing."""
    opened = registry.open_registry(job.config)
    found = opened.require(version)
    return _compare(job, opened, found)[0]


def run_promote(job: Job, *, version: str, signed: Signed, force: bool) -> approval.Promotion:
    """Make a version champion, where the gate lets it pass.

    Raises
    ------
    ApprovalError : it doesn't, and ``force`` doesn't say that it passes all the same.
    ConfigError : ``force`` without a reason.
    """
    if force and not signed.why:
        raise ConfigError("--force wants a reason", hint='--why "..."')
    opened = registry.open_registry(job.config)
    found = opened.require(version)
    past = approval.history(job, opened.model)
    if past and past[-1].to_version == found.number:
        return _point_again(job, opened, found, past[-1])
    evidence: dict[str, object] = {"compared": False}
    if not force:
        compared, evidence = _compare(job, opened, found)
        if compared.refusals:
            raise ApprovalError(
                f"version {found.number} of {opened.model} doesn't become champion",
                got="; ".join(compared.refusals),
                hint="train on more verdicts, or --force and --why",
            )
    decided = approval.Decided(
        action=approval.PROMOTE,
        who=signed.who,
        why=signed.why,
        forced=force,
        evidence=json.dumps(evidence),
    )
    return _decide(job, opened, found, decided)


def run_rollback(job: Job, *, signed: Signed) -> approval.Promotion:
    """Make the version champion again that was it before the present one.

    Raises
    ------
    ApprovalError : there was none.
    """
    opened = registry.open_registry(job.config)
    earlier = approval.before(approval.history(job, opened.model))
    found = opened.require(earlier.to_version)
    decided = approval.Decided(action=approval.ROLLBACK, who=signed.who, why=signed.why)
    return _decide(job, opened, replace(found, bundle_sha256=earlier.bundle_sha256), decided)


def _point_again(
    job: Job, opened: Registry, version: Version, made: approval.Promotion
) -> approval.Promotion:
    """Let the alias name what was promoted before, where somebody moved it."""
    opened.read(version, made.bundle_sha256)
    opened.point(registry.CHAMPION, version)
    job.notes.append(f"version {version.number} was promoted already; the alias names it")
    return made


def _decide(
    job: Job, opened: Registry, version: Version, decided: approval.Decided
) -> approval.Promotion:
    made = approval.promote(job, opened, version, decided)
    was = f"in place of version {made.from_version}" if made.from_version else "as the first one"
    job.notes.append(f"version {made.to_version} is champion {was}; the next night scores with it")
    return made


def _compare(job: Job, opened: Registry, version: Version) -> tuple[Comparison, dict[str, object]]:
    """Compare a version with the champion that the record names, and tell what came of it."""
    past = approval.history(job, opened.model)
    challenger = contender(opened, version, version.bundle_sha256)
    champion = _champion(opened, past, version)
    found = compare_on_spark(job, challenger, champion)
    apart = parity(job, challenger.bundle)
    found = replace(found, refusals=(*found.refusals, *parity_refusals(apart)))
    against = champion.version if champion else None
    job.notes.extend(model_lines.comparison(found, version, against))
    number = against.number if against else None
    return found, {**promotion.as_json(found), "against": number, "parity": apart}


def _champion(
    opened: Registry, past: list[approval.Promotion], challenger: Version
) -> Contender | None:
    if not past:
        return None
    version = opened.require(past[-1].to_version)
    if version.number == challenger.number:
        raise ApprovalError(
            f"version {version.number} of {opened.model} is the champion",
            hint="name another version, by its number",
        )
    return contender(opened, version, past[-1].bundle_sha256)
