"""The command line: ``pcb-spark JOB``, and what the files in jobs/ call.

Parse, load the configuration, get a session, call one function, turn errors into exit codes.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

import pcb_spark
from pcb_spark.core import signatures
from pcb_spark.core.errors import BackboneError, PcbSparkError
from pcb_spark.demo import camera_drop, folder
from pcb_spark.lake import exchange, failures, folders, leases, session, stores
from pcb_spark.learning import audit_plan
from pcb_spark.network.backbone import UNTRAINED
from pcb_spark.pipeline import arguments, doctor, logs, outcome, preview, registry, summary, words
from pcb_spark.pipeline import config as configuration
from pcb_spark.pipeline.job import Job, load_backbone, required
from pcb_spark.pipeline.jobs import JOBS as JOBS
from pcb_spark.pipeline.jobs import MODEL, ORDERS, JobRecord

if TYPE_CHECKING:
    from pcb_spark.pipeline.config import Config

log = logging.getLogger(__name__)

#: True defects a night, where nobody says how many there are.
_A_NIGHT = 100.0


def _perform(stage: Callable[[Job], object], job: Job) -> None:
    stage(job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a command does with the machine it runs on; a test gives ``main`` one of its own."""

    check_machine: Callable[[Config], list[doctor.Check]] = doctor.check_machine
    check_session: Callable[..., list[doctor.Check]] = doctor.check_session
    running_session: Callable[[], SparkSession | None] = SparkSession.getActiveSession
    start_session: Callable[..., SparkSession] = session.get
    stop_session: Callable[[SparkSession], None] = session.stop
    hold_lease: Callable[..., AbstractContextManager[leases.Lease]] = leases.held
    mend_tables: Callable[..., object] = exchange.mend
    load_weights: Callable[[Config], object] = load_backbone
    render_drop: Callable[..., object] = camera_drop.render_drop
    perform: Callable[[Callable[[Job], object], Job], None] = _perform
    summarise: Callable[[Job], str] = summary.of_run


def main(arguments: Sequence[str] | None = None, host: Host | None = None) -> int:
    """Run one command and return its exit code (see ``errors``)."""
    options = _parser().parse_args(arguments)
    run_id, began = logs.new_run_id(), time.monotonic()
    logs.configure(run_id, verbose=options.verbose, as_json=options.log_json)
    code = _code(options, run_id, host or Host())
    ended = options.name in JOBS
    return outcome.tell(options.name, code, began, options.textfile) if ended else code


def _code(options: argparse.Namespace, run_id: str, host: Host) -> int:
    """Run the command; whatever was raised on purpose becomes its exit code."""
    try:
        with failures.of_stores(f"{options.name} can't go on"):
            return int(options.command(options, run_id, host))
    except PcbSparkError as error:
        log.error("%s: %s", type(error).__name__, error)
        log.debug("where it was raised", exc_info=True)
        return error.exit_code
    except failures.FROM_SPARK as error:
        log.error("a fault inside Spark: %s; --verbose shows all of it", failures.cause(error))
        log.debug("where it was raised", exc_info=True)
        return PcbSparkError.exit_code
    except KeyboardInterrupt:
        log.error("interrupted")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pcb-spark", description=pcb_spark.__doc__)
    parser.add_argument("--version", action="version", version=pcb_spark.__version__)
    parser.set_defaults(verbose=False, log_json=False)
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for name, record in JOBS.items():
        command = commands.add_parser(name, help=record.help, description=record.help)
        _add(command, _run_job)
        arguments.add_textfile(command)
        if name in arguments.OF_JOBS:
            arguments.OF_JOBS[name](command)
    text = "versions of the model: which there are, and who made which one champion"
    model = commands.add_parser("model", help=text, description=text)
    helps = {name: record.help for name, record in MODEL.items()}
    arguments.add_model(model, helps, partial(_add, command=_run_words))
    for name, record in ORDERS.items():
        order = commands.add_parser(name, help=record.help, description=record.help)
        _add(order, _run_words)
        arguments.add_order(order)
    text = "look at a camera drop, write nothing, and say what to set"
    _add(commands.add_parser("preview", help=text, description=text), _run_preview)
    text = "check this machine, and with a session what Spark needs"
    _add(commands.add_parser("doctor", help=text, description=text), _run_doctor)
    text = "say what control boards and audit can notice, and when; reads no table"
    ahead = commands.add_parser("audit-plan", help=text, description=text)
    _add(ahead, _run_audit_plan)
    ahead.add_argument(
        "--defects-per-night", type=arguments.positive, default=_A_NIGHT, metavar="N",
        help=f"true defects among a night's flags ({_A_NIGHT:.0f})",
    )  # fmt: skip
    text = "fetch the jars that Spark needs, once, with the connectors of stores"
    ahead = commands.add_parser("jars", help=text, description=text)
    _add(ahead, _run_jars)
    ahead.add_argument("schemes", nargs="*", metavar="SCHEME", help="of a store, e.g. abfss, s3a")
    text = "make a key of the plant's own, which edge machines know its models by"
    keys = commands.add_parser("key", help=text, description=text)
    keys.add_argument("action", choices=["new"], help="make one; an old one is never overwritten")
    keys.add_argument("secret", type=Path, metavar="FILE", help="e.g. plant.key; and plant.pub")
    keys.set_defaults(command=_run_key)
    text = "say where profiles and Spark's settings lie, for programs that want a path"
    commands.add_parser("conf", help=text, description=text).set_defaults(command=_run_conf)
    text = "render a set of component images and run everything on it"
    demo = commands.add_parser("demo", help=text, description=text)
    _add(demo, _run_demo)
    demo.add_argument("--out", default="out/demo", help="folder for the drop and the tables")
    demo.add_argument("--images", type=int, default=1500, help="how many images to render")
    return parser


def _add(parser: argparse.ArgumentParser, command: Callable[..., int]) -> None:
    parser.add_argument(
        "--config", type=Path, default=None, metavar="FILE",
        help=f"a TOML file, or one that comes with pcb_spark: {', '.join(folders.profiles())}",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="override one key, e.g. features.levels='[\"layer2\"]'; may be repeated",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="log details")
    parser.add_argument("--log-json", action="store_true", help="log a line of JSON an event")
    parser.set_defaults(command=command)


def _run_job(options: argparse.Namespace, run_id: str, host: Host) -> int:
    config = configuration.load(options.config, options.overrides)
    required(config.paths.out, "paths.out")
    night = options.name == "nightly"
    if options.name in ("run", "ingest") or (night and not options.no_ingest):
        required(config.paths.drop, "paths.drop")
    if night or options.name == "retrain":
        registry.require_place(config)
    _run(config, run_id, words.of_job(options), host)
    return 0


def _run_words(options: argparse.Namespace, run_id: str, host: Host) -> int:
    """What follows ``pcb-spark model``, and what a person orders."""
    config = configuration.load(options.config, options.overrides)
    required(config.paths.out, "paths.out")
    of_model = options.name == "model"
    if of_model:
        registry.require_place(config)
    _run(config, run_id, words.of_model(options) if of_model else words.of_order(options), host)
    return 0


def _run_demo(options: argparse.Namespace, run_id: str, host: Host) -> int:
    out = Path(options.out)
    path = options.config or folders.conf_folder() / "demo.toml"
    paths = {"drop": out / "drop", "out": out}
    quoted = [f"paths.{k}={json.dumps(str(v), ensure_ascii=False)}" for k, v in paths.items()]
    config = configuration.load(path, [*quoted, *options.overrides])
    folder.claim(out)
    config = _with_weights_if_possible(config, host)
    whole = JOBS["run"]

    def render(job: Job) -> None:
        log.info("render %d component images into %s", options.images, paths["drop"])
        folder.forget(out, [*JOBS["ingest"].claim.updates, "checkpoints"])
        host.render_drop(paths["drop"], images=options.images, seed=job.config.seed)

    _run(config, run_id, replace(whole, name="demo", steps=(render, *whole.steps)), host)
    return 0


def _run_jars(options: argparse.Namespace, _run_id: str, _host: Host) -> int:
    config = configuration.load(options.config, options.overrides)
    uris = {scheme: f"{scheme}:" for scheme in options.schemes}
    stores.check(uris, {})
    jars, archive = session.prepare(config, uris.values())
    sys.stdout.write(f"{len(jars)} jars ready in {jars[-1].parent}\n")
    if archive:
        sys.stdout.write(f"Spark's classes ready in {archive}\n")
    return 0


def _run_audit_plan(options: argparse.Namespace, _run_id: str, _host: Host) -> int:
    config = configuration.load(options.config, options.overrides)
    defects = options.defects_per_night
    for line in audit_plan.table(config.shares, config.policy.promise, defects=defects):
        sys.stdout.write(f"{line}\n")
    return 0


def _run_key(options: argparse.Namespace, _run_id: str, _host: Host) -> int:
    public = signatures.write_pair(options.secret)
    sys.stdout.write(
        f"key {public.name}\n"
        f"  {options.secret}: signs; keep it where models are released, and nowhere else\n"
        f"  {options.secret.with_suffix(signatures.PUBLIC_SUFFIX)}: goes to every edge machine\n"
    )
    return 0


def _run_conf(_options: argparse.Namespace, _run_id: str, _host: Host) -> int:
    sys.stdout.write(f"{folders.conf_folder()}\n")
    return 0


def _run_preview(options: argparse.Namespace, _run_id: str, host: Host) -> int:
    config = configuration.load(options.config, options.overrides)
    required(config.paths.drop, "paths.drop")
    found = host.running_session()
    sys.stdout.write(stores.redacted(preview.run_preview(config, host.start_session)) + "\n")
    started = host.running_session()
    if found is None and started is not None:
        host.stop_session(started)
    return 0


def _run_doctor(options: argparse.Namespace, _run_id: str, host: Host) -> int:
    config = configuration.load(options.config, options.overrides)
    checks = host.check_machine(config)
    if all(check.ok for check in checks):
        spark = host.start_session(config)
        out, synapseml = config.paths.out or ".", config.needs_synapseml
        checks += host.check_session(spark, out, synapseml=synapseml)
    sys.stdout.write(stores.redacted(doctor.report(checks)) + "\n")
    noticed = audit_plan.plan(config.shares, config.policy.promise, defects=_A_NIGHT)
    sys.stdout.write(f"{audit_plan.sentence(noticed, defects=_A_NIGHT)}\n")
    doctor.require(checks)
    return 0


def _run(config: Config, run_id: str, record: JobRecord, host: Host) -> None:
    """Check, run the steps of a job in one session, and say what came of it.

    A session that was there before, a notebook's or a test's, is used and left running.
    """
    doctor.require(host.check_machine(config))
    found = host.running_session()
    spark = host.start_session(config, fits=record.fits, lasts=record.lasts(config))
    synapseml = record.fits or config.needs_synapseml
    name, out, claim = record.name, config.paths.out, record.claim
    try:
        doctor.require(host.check_session(spark, out, synapseml=synapseml))
        host.mend_tables(spark, out, claim, run_id=run_id)
        with host.hold_lease(spark, out, claim=claim, job=name, run_id=run_id) as lease:
            job = Job(spark=spark, config=config, run_id=run_id, lease=lease)
            for step in record.steps:
                host.perform(step, job)
            sys.stdout.write(host.summarise(job) + "\n")
        job.require_quiet()
    finally:
        if found is None:
            host.stop_session(spark)


def _with_weights_if_possible(config: Config, host: Host) -> Config:
    """Fall back to the untrained network where the pinned weights can't be had."""
    try:
        host.load_weights(config)
    except BackboneError as error:
        log.warning(
            "no pretrained weights (%s); the demo goes on with an untrained network", error.what
        )
        untrained = config.backbone.model_copy(update={"weights": UNTRAINED})
        return config.model_copy(update={"backbone": untrained})
    return config
