"""What a plant says of its review page, in a TOML file: kinds of defect, keys, and who comes in."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pcb_spark.core.errors import ConfigError
from pcb_spark.review import groups

#: The key of each action, as a browser calls it. A key keeps its meaning from version to version.
KEYS: Final = {
    "pass": "p", "fail": "f", "unsure": "u",
    "attention": "a", "repaired": "r", "closed": "c", "not_verified": "n",
    "undo": "z", "comment": "m",
    "reference": " ", "blink": "b", "heat": "h",
    "closer": "+", "farther": "-", "whole": "0",
    "next": "ArrowRight", "previous": "ArrowLeft", "help": "?",
}  # fmt: skip
_MOST_KINDS: Final = 9
_KINDS: Final = (
    "open", "short", "missing part", "wrong part", "tombstone", "shifted", "polarity",
    "too little solder", "too much solder",
)  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Proxy(_Section):
    """The plant's reverse proxy, which has asked who somebody is."""

    addresses: tuple[str, ...] = Field(min_length=1)
    """From which it asks; the headers of others are passed over."""
    user_header: str = "X-Forwarded-User"
    role_header: str = "X-Forwarded-Role"
    """Roles, with commas between; without it everybody is an operator."""
    scheme_header: str = "X-Forwarded-Proto"
    """By which it says that a browser came by https."""


class ReviewSettings(_Section):
    """The whole file."""

    kinds: tuple[str, ...] = _KINDS
    """Kinds of defect, of number keys 1 to 9."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Keys that are others here than ``KEYS`` says."""
    known_defect_rate: float = Field(default=0.0, ge=0, le=0.5)
    """Known defects mixed in, a share of the items shown."""
    second_look_rate: float = Field(default=0.0, ge=0, le=1)
    """Images that a second person decides, too, without being told; a share of all."""
    disagreements: bool = False
    """Shows the lead how often two people who decided one image disagreed."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Names of the people of each group of which figures are shown; none without one."""
    ahead: int = Field(default=4, ge=1, le=50)
    """Items that a page holds besides the one it shows."""
    lease_seconds: int = Field(default=300, ge=10)
    """How long a page that has gone silent keeps its items."""
    session_hours: int = Field(default=12, ge=1)
    """How long a login by key lasts."""
    secure_cookie: bool = False
    """Sends the cookie of a login by https alone, whatever reaches the service."""
    proxy: Proxy | None = None

    @field_validator("kinds")
    @classmethod
    def _one_key_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > _MOST_KINDS or len(set(value)) < len(value):
            raise ValueError(f"are more than {_MOST_KINDS}, or one stands twice")
        if any("|" in kind or not kind.strip() for kind in value):
            raise ValueError("have one that is empty, or has a |")
        return value

    @field_validator("groups")
    @classmethod
    def _nobody_alone(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        small = sorted(name for name, of in value.items() if len(set(of)) < groups.LEAST_PEOPLE)
        if small:
            raise ValueError(f"{', '.join(small)} has fewer than {groups.LEAST_PEOPLE} people")
        people = [who for of in value.values() for who in set(of)]
        twice = sorted({who for who in people if people.count(who) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} would be in two groups")
        return value

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        unknown = set(self.keys) - set(KEYS)
        if unknown:
            raise ValueError(f"keys: no action is called {', '.join(sorted(unknown))}")
        used = list(self.all_keys().values())
        twice = sorted({key for key in used if used.count(key) > 1})
        if twice:
            raise ValueError(f"keys: {', '.join(twice)} would mean two things")
        numbers = sorted(set(self.keys.values()) & set("123456789"))
        if numbers:
            raise ValueError(f"keys: {', '.join(numbers)} is the key of a kind of defect")
        return self

    def all_keys(self) -> dict[str, str]:
        """The key of each action at this plant."""
        return {**KEYS, **self.keys}


def read(path: Path | None) -> ReviewSettings:
    """Read the file; without one all is as it stands here.

    Raises
    ------
    ConfigError : it can't be read, or says something that isn't known.
    """
    if path is None:
        return ReviewSettings()
    hint = "docs/how-to/review.md has all that it may say"
    try:
        return ReviewSettings(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path} can't be read", got=error.strerror, hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML", got=error, hint=hint) from None
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ")
            for each in error.errors()
        ]
        raise ConfigError(f"{path} can't be used", got="; ".join(found), hint=hint) from None
