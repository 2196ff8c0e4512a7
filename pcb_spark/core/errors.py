"""Every error that pcb_spark raises on purpose, and the exit code a job ends with.

    PcbSparkError            1   base; never raised itself
    ├── ConfigError          2   a key, value or file of the configuration
    ├── EnvironmentFault     3   Java, Python, jars, native libraries, memory, disk
    ├── InputError           4   a drop, table, image or verdict file that cannot be used
    │   └── ImageError       4   one image; caught per image and turned into a reject
    ├── BackboneError        5   weights: missing, damaged, wrong hash, no ResNet-50
    ├── TrainingError        6   data from which no classifier can be trained or judged
    ├── BundleError          7   a model bundle: missing part, wrong hash, wrong version
    └── AccountingError      8   a job whose rows in are not its rows out plus rejects

A message says what is wrong and where, what was expected, what was found, and what to do next.
"""

from __future__ import annotations


class PcbSparkError(Exception):
    """Base of every deliberate error.

    Parameters
    ----------
    what : what is wrong and where, one sentence without a full stop.
    expected, got : the two sides of the mismatch, where there is one.
    hint : the next step for the person who reads it.
    """

    exit_code = 1

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


class EnvironmentFault(PcbSparkError):
    """The machine lacks something that the job needs."""

    exit_code = 3


class InputError(PcbSparkError):
    """A drop, table or verdict file cannot be used."""

    exit_code = 4


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


class TrainingError(PcbSparkError):
    """No classifier can be trained or judged from these data."""

    exit_code = 6


class BundleError(PcbSparkError):
    """A model bundle lacks a part, was changed after it was written, or doesn't fit."""

    exit_code = 7


class AccountingError(PcbSparkError):
    """Rows got lost between a job's input and its output: a fault of pcb_spark itself."""

    exit_code = 8
