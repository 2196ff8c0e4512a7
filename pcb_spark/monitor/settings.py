"""The section of the configuration that says how nights are watched, and what an alarm does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pcb_spark.lake.settings import Section


class MonitorConfig(Section):
    """How nights are held against the days that their model was trained on."""

    enabled: bool = True
    """Watches each night that was scored."""
    false_alarms_per_year: float = Field(default=2.0, gt=0)
    """How many false alarms a plant bears in a year, of everything that is watched together."""
    sample: int = Field(default=200, ge=1)
    """Images of a line and day whose pixels and features are looked at again, drawn by a hash."""
    features: int = Field(default=8, ge=0)
    """Features that are watched: those that the trees gain most by."""
    known_defects_missed: float = Field(default=0.1, ge=0, lt=1)
    """Share of the known defects at the review page that a shift may pass as good; more than chance
    explains are an alarm."""
    on_alarm: Literal["nothing", "line", "all"] = "nothing"
    """What a new alarm stops clearing of, until somebody resumes it: nothing, the line that it
    names (all lines where it names none), or all lines.
    """
    command: tuple[str, ...] = ()
    """Program with arguments that is told of new alarms, as JSON on its standard input."""
    webhook: str = ""
    """http or https address that new alarms are posted to, as JSON."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """How long one try to tell may take."""
    tries: int = Field(default=3, ge=1)
    """How often it is tried to tell command or webhook, with growing pauses."""

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, webhook: str) -> str:
        if webhook and not webhook.startswith(("http://", "https://")):
            msg = "an address that begins with http:// or https://"
            raise ValueError(msg)
        return webhook
