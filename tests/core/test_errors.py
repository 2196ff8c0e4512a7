from __future__ import annotations

import pickle

import pytest

from pcb_spark.core import errors
from pcb_spark.core.errors import (
    AccountingError,
    BackboneError,
    BundleError,
    ConfigError,
    EnvironmentFault,
    ImageError,
    InputError,
    PcbSparkError,
    TrainingError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PcbSparkError, 1), (ConfigError, 2), (EnvironmentFault, 3), (InputError, 4),
        (ImageError, 4), (BackboneError, 5), (TrainingError, 6), (BundleError, 7),
        (AccountingError, 8),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_the_docstring(error: type[PcbSparkError], code: int) -> None:
    assert error.exit_code == code
    lines = [line for line in str(errors.__doc__).splitlines() if f" {error.__name__} " in line]
    assert len(lines) == 1
    assert f" {code}   " in lines[0]


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
