"""A machine that commands of the command line can be tried on: it notes what they do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pcb_spark import cli
from pcb_spark.pipeline.doctor import Check

if TYPE_CHECKING:
    from pcb_spark.core.errors import PcbSparkError
    from pcb_spark.lake.claims import Claim
    from pcb_spark.pipeline import Job
    from pcb_spark.pipeline.config import Config

GOOD = Check(name="Java", ok=True, found="17.0.15", hint="")
BAD = Check(name="Java", ok=False, found="11.0.2", hint="install Java 17")


def settings(*overrides: str) -> list[str]:
    """Each as ``--set`` takes it."""
    return [part for override in overrides for part in ("--set", override)]


IN_OUT = settings("paths.drop=drop", "paths.out=out")


class World:
    """What a command does, in order: checks, sessions, and stages by their names.

    ``stage_ends`` is raised by the stage of that name, ``weights_end`` in place of weights.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fits: list[bool] = []
        self.lasts: list[bool] = []
        self.checked_synapseml: list[bool] = []
        self.jobs: list[Job] = []
        self.options: list[dict[str, Any]] = []
        self.leases: list[tuple[str, Claim]] = []
        self.mended: list[tuple[str, Claim]] = []
        self.rendered: list[dict[str, Any]] = []
        self.leases_of_rendering: list[tuple[str, Claim]] = []
        self.machine = [GOOD]
        self.running = False
        self.stage_ends: dict[str, BaseException] = {}
        self.weights_end: PcbSparkError | None = None
        self.spark: Any = SimpleNamespace()

    def call(self, *arguments: str) -> int:
        """Run one command on this machine: its exit code."""
        return cli.main(arguments, self.host())

    def host(self) -> cli.Host:
        return cli.Host(
            check_machine=self.check_machine,
            check_session=self.check_session,
            running_session=lambda: self.spark if self.running else None,
            start_session=self.start,
            stop_session=lambda _: self.events.append("stop"),
            hold_lease=self.hold,
            mend_tables=self.mend,
            load_weights=self.load_weights,
            render_drop=self.render,
            perform=self.perform,
            summarise=lambda job: f"summary of {job.run_id}",
        )

    def start(self, config: Config, *, fits: bool = False, lasts: bool = False) -> Any:
        self.fits.append(fits)
        self.lasts.append(lasts)
        self.events.append(f"session {config.spark.master}")
        return self.spark

    def check_machine(self, config: Config) -> list[Check]:
        self.events.append(f"check {config.spark.master}")
        return list(self.machine)

    def check_session(self, spark: object, out: str, *, synapseml: bool) -> list[Check]:
        assert spark is self.spark
        self.checked_synapseml.append(synapseml)
        self.events.append(f"check {out}")
        return [GOOD]

    def mend(self, spark: object, out: str, claim: Claim, *, run_id: str) -> None:
        assert (spark, bool(run_id)) == (self.spark, True)
        self.mended.append((out, claim))

    def load_weights(self, _: Config) -> None:
        if self.weights_end:
            raise self.weights_end

    def render(self, folder: Path, **options: Any) -> None:
        self.rendered.append({"folder": folder, **options})
        self.leases_of_rendering = list(self.leases)

    def perform(self, stage: Callable[[Job], object], job: Job) -> None:
        function, options = stage, {}
        if isinstance(stage, partial):
            function, options = stage.func, stage.keywords
        name = getattr(function, "__name__", "").removeprefix("run_")
        if name == "render":  # the demo's own first step
            stage(job)
            return
        self.events.append(name)
        self.jobs.append(job)
        self.options.append(options)
        if name in self.stage_ends:
            raise self.stage_ends[name]

    @contextmanager
    def hold(
        self, spark: object, out: str, *, claim: Claim, job: str, run_id: str
    ) -> Iterator[Any]:
        assert (spark, bool(out), bool(run_id)) == (self.spark, True, True)
        self.leases.append((job, claim))
        yield None
