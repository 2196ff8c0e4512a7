from __future__ import annotations

import pickle

import pytest

from pcb_spark.core import errors
from pcb_spark.core.errors import (
    AccountingError,
    ApprovalError,
    BackboneError,
    BundleError,
    Busy,
    ConfigError,
    EnvironmentFault,
    ImageError,
    InputError,
    LostLease,
    MonitorAlarm,
    PcbSparkError,
    StorageFault,
    StoreUnreachable,
    TrainingError,
)


@pytest.mark.parametrize(
    ("error", "code", "remedy"),
    [
        (PcbSparkError, 1, "look"), (ConfigError, 2, "repair"), (EnvironmentFault, 3, "repair"),
        (InputError, 4, "repair"), (ImageError, 4, "repair"), (BackboneError, 5, "repair"),
        (TrainingError, 6, "look"), (BundleError, 7, "repair"), (AccountingError, 8, "look"),
        (Busy, 9, "again"), (LostLease, 10, "again"), (StorageFault, 11, "repair"),
        (StoreUnreachable, 12, "again"), (ApprovalError, 13, "look"),
        (MonitorAlarm, 14, "look"),
    ],
)  # fmt: skip
def test_exit_codes_and_remedies_are_those_of_the_docstring(
    error: type[PcbSparkError], code: int, remedy: str
) -> None:
    assert (error.exit_code, error.remedy) == (code, remedy)
    lines = [line for line in str(errors.__doc__).splitlines() if f" {error.__name__} " in line]
    assert len(lines) == 1
    assert lines[0].replace("─", " ").split(error.__name__)[1].split()[:2] == [str(code), remedy]


def test_each_code_has_one_meaning() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    found = [kind for kind in kinds if issubclass(kind, PcbSparkError) and kind is not ImageError]
    assert len(found) == len({kind.exit_code for kind in found}) == 14


def test_message_names_both_sides_and_the_next_step() -> None:
    error = ConfigError("folds.n is out of range", expected="at least 1", got=0, hint="raise it")
    assert str(error) == (
        "folds.n is out of range\n  expected: at least 1\n  got: 0\n  next: raise it"
    )


def test_message_leaves_out_what_is_not_known() -> None:
    assert str(InputError("no images", hint="look elsewhere")) == (
        "no images\n  next: look elsewhere"
    )
    assert str(TrainingError("one class only")) == "one class only"


def test_image_error_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(ImageError("empty_file", "the file has no bytes")))
    assert (error.reason, error.detail) == ("empty_file", "the file has no bytes")
    assert str(error) == "empty_file: the file has no bytes"
    assert isinstance(error, InputError)
