"""What travels between the review page and the service."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pcb_spark.core import names
from pcb_spark.review import verdicts

#: Made by the page of random bits.
Id = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{8,64}$")]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogIn(_Wire):
    """A login."""

    key: str = Field(max_length=200)


class Leaving(_Wire):
    """A page that closes."""

    page: Id


class Asking(_Wire):
    """A page that would like more items."""

    page: Id
    held: list[ItemId] = Field(default_factory=list, max_length=200)
    want: int = Field(default=0, ge=0, le=50)


class Said(_Wire):
    """What an operator says of an item."""

    page: Id
    entry: Id
    item: ItemId
    state: Literal[
        "DefectConfirmed", "DefectRepaired", "DefectClosed", "DefectRejected", "DefectAccepted",
        "NotVerifiedYet", "Unsure", "Undo",
    ]  # fmt: skip
    defects: list[Annotated[str, StringConstraints(pattern=r"^[^|]{1,80}$")]] = Field(
        default_factory=list, max_length=9
    )
    comment: str | None = Field(default=None, max_length=1000)
    undoes: Id | None = None

    @model_validator(mode="after")
    def _whole(self) -> Said:
        if (self.state == verdicts.UNDO) != (self.undoes is not None):
            raise ValueError("an undo names the entry that it takes back, and nothing else does")
        if self.defects and self.as_entry().verdict != names.VERDICT_FAIL:
            raise ValueError("a kind of defect is marked, and the item isn't a true defect")
        return self

    def as_entry(self) -> verdicts.Entry:
        """The same for the store."""
        return verdicts.Entry(
            entry_id=self.entry, item_id=self.item, state=self.state,
            defects=tuple(self.defects), comment=self.comment or None, undoes=self.undoes,
        )  # fmt: skip


class Stored(_Wire):
    """An entry that is on the disk."""

    entry: str


class Given(_Wire):
    """Items for a page, which of those it has are still its own, and how many wait in all."""

    items: list[dict[str, Any]]
    held: list[str]
    waiting: int


class Setup(_Wire):
    """How the page is set up here, and who is at it."""

    keys: dict[str, str]
    kinds: list[str]
    roles: list[str]
    ahead: int
    lease_seconds: int
    operator: str


class Approving(_Wire):
    """A verified-good image that is to be a golden image."""

    item: ItemId
    valid_from: date
    valid_until: date | None = None
    why: str = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _begins_first(self) -> Approving:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("it ends before it begins")
        return self


class Ordering(_Wire):
    """Clearing stops, or goes on, of a line or of all."""

    action: Literal["stop", "resume"]
    line: str | None = Field(default=None, min_length=1, max_length=200)
    why: str = Field(min_length=1, max_length=1000)
