from __future__ import annotations

from pathlib import Path

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.serving import review_settings


def test_no_key_changes_its_meaning_from_version_to_version() -> None:
    assert review_settings.ReviewSettings().all_keys() == {
        "pass": "p", "fail": "f", "unsure": "u", "attention": "a", "repaired": "r", "closed": "c",
        "not_verified": "n", "undo": "z", "comment": "m", "reference": " ", "blink": "b",
        "heat": "h", "closer": "+", "farther": "-", "whole": "0", "next": "ArrowRight",
        "previous": "ArrowLeft", "help": "?",
    }  # fmt: skip


def test_a_plant_has_keys_and_kinds_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "review.toml"
    path.write_text(
        'kinds = ["Lotbrücke", "offen"]\nknown_defect_rate = 0.02\n'
        '[keys]\npass = "g"\n[proxy]\naddresses = ["10.0.0.7"]\n',
        encoding="utf-8",
    )
    found = review_settings.read(path)

    assert found.kinds == ("Lotbrücke", "offen")
    assert (found.all_keys()["pass"], found.all_keys()["fail"]) == ("g", "f")
    assert found.proxy == review_settings.Proxy(addresses=("10.0.0.7",))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("kinds = 3", "kinds"),
        ("kind = []", "kind: Extra inputs"),
        ('kinds = ["a|b"]', "has a |"),
        ('kinds = ["a", "a"]', "stands twice"),
        ("kinds = [" + ", ".join(f'"{n}"' for n in range(10)) + "]", "more than 9"),
        ('[keys]\npas = "g"', "no action is called pas"),
        ('[keys]\npass = "f"', "f would mean two things"),
        ('[keys]\npass = "3"', "3 is the key of a kind"),
        ("known_defect_rate = 2", "known_defect_rate"),
        ('[groups]\nred = ["a", "b", "c", "d", "d"]', "red has fewer than 5 people"),
        (
            '[groups]\nred = ["a", "b", "c", "d", "e"]\nblue = ["e", "f", "g", "h", "i"]',
            "e would be in two groups",
        ),
        ("[proxy]\naddresses = []", "proxy.addresses"),
        ("kinds", "is no TOML"),
    ],
)
def test_what_cant_be_meant_is_told(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "review.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        review_settings.read(path)
    assert what in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        review_settings.read(tmp_path / "review.toml")
