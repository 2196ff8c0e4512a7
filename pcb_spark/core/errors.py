"""Every error that pcb_spark raises on purpose, and the exit code a job ends with.

What a scheduler does about it stands beside the code: *again* starts the job once more, later and
as it is; *repair* starts it no more before somebody has put right what the message names; *look*
wants a person to judge.

    PcbSparkError            1   look    base; never raised itself
    ├── ConfigError          2   repair  a key, value or file of the configuration
    ├── EnvironmentFault     3   repair  Java, Python, jars, native libraries, memory
    ├── InputError           4   repair  a drop, table, image or verdict file that cannot be used
    │   └── ImageError       4   repair  one image; caught per image and turned into a reject
    ├── BackboneError        5   repair  weights: missing, damaged, wrong hash, no ResNet-50
    ├── TrainingError        6   look    data from which no classifier can be trained or judged
    ├── BundleError          7   repair  a model bundle: missing part, wrong hash, wrong version
    ├── AccountingError      8   look    a job whose rows in are not its rows out plus rejects
    ├── Busy                 9   again   tables that another job is at work on
    ├── LostLease           10   again   a job that was paused so long that others took its place
    ├── StorageFault        11   repair  a store that is full, or that refuses this identity
    ├── StoreUnreachable    12   again   a store that doesn't answer
    ├── ApprovalError       13   look    a model that nobody promoted, or that may not be promoted
    └── MonitorAlarm        14   look    a night that is done, and is unlike the days of training

Whatever else ends a job is a fault of pcb_spark: it has a traceback, and the exit code 1.
A message says what is wrong and where, what was expected, what was found, and what to do next.
"""

from __future__ import annotations

from typing import ClassVar, Literal

#: What to do about an error: start the job again, put something right first, or judge.
Remedy = Literal["again", "repair", "look"]


class PcbSparkError(Exception):
    """Base of every deliberate error.

    Parameters
    ----------
    what : what is wrong and where, one sentence without a full stop.
    expected, got : the two sides of the mismatch, where there is one.
    hint : the next step for the person who reads it.
    """

    exit_code: ClassVar[int] = 1
    remedy: ClassVar[Remedy] = "look"

    def __init__(
        self,
        what: str,
        *,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.expected = expected
        self.got = got
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [self.what]
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.got is not None:
            parts.append(f"got: {self.got}")
        if self.hint is not None:
            parts.append(f"next: {self.hint}")
        return "\n  ".join(parts)


class ConfigError(PcbSparkError):
    """A key, value or file of the configuration is wrong; raised before Spark starts."""

    exit_code = 2
    remedy = "repair"


class EnvironmentFault(PcbSparkError):
    """The machine lacks something that the job needs."""

    exit_code = 3
    remedy = "repair"


class InputError(PcbSparkError):
    """A drop, table or verdict file cannot be used."""

    exit_code = 4
    remedy = "repair"


class ImageError(InputError):
    """One image cannot be used.

    ``reason`` is one of ``names.IMAGE_REASONS``, or of those about its reference.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


class BackboneError(PcbSparkError):
    """The backbone weights are missing, damaged, or not those of a ResNet-50."""

    exit_code = 5
    remedy = "repair"


class TrainingError(PcbSparkError):
    """No classifier can be trained or judged from these data."""

    exit_code = 6


class BundleError(PcbSparkError):
    """A model bundle lacks a part, was changed after it was written, or doesn't fit."""

    exit_code = 7
    remedy = "repair"


class AccountingError(PcbSparkError):
    """Rows got lost between a job's input and its output: a fault of pcb_spark itself."""

    exit_code = 8


class Busy(PcbSparkError):
    """Another job is at work on tables that this one needs."""

    exit_code = 9
    remedy = "again"


class LostLease(PcbSparkError):
    """Others took this process for dead and may be at work in its place."""

    exit_code = 10
    remedy = "again"


class StorageFault(PcbSparkError):
    """A disk or store is full, or refuses what this identity asks of it."""

    exit_code = 11
    remedy = "repair"


class StoreUnreachable(PcbSparkError):
    """A store doesn't answer, or asks to be left alone for a while."""

    exit_code = 12
    remedy = "again"


class ApprovalError(PcbSparkError):
    """A model that nobody promoted, or that the gate of promotion refuses."""

    exit_code = 13


class MonitorAlarm(PcbSparkError):
    """A night is done, scores and decisions are published, and the monitor raised an alarm."""

    exit_code = 14
