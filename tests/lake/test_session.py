from __future__ import annotations

import pytest

from pcb_spark.lake.session import locale_of_names


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"LC_ALL": "C.UTF-8"}),
        ({"LANG": "C"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "", "LANG": "C.UTF-8"}, {}),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, {}),
        ({"LANG": "de_DE.ISO-8859-1"}, {}),
    ],
)
def test_java_finds_names_that_are_not_ascii(
    environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert locale_of_names(environ) == expected
