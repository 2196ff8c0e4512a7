"""What the service answers in place of what was asked for, in the form of the project's errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, what was expected, what was found, what to do; ``code`` is for programs."""

    code: str
    what: str
    expected: str | None = None
    got: str | None = None
    hint: str | None = None


class Refusal(Exception):
    """An answer with a status of 4xx or 503."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        what: str,
        *,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        self.fault = Fault(
            code=code,
            what=what,
            expected=None if expected is None else str(expected),
            got=None if got is None else str(got),
            hint=hint,
        )
        super().__init__(what)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the status."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            found["WWW-Authenticate"] = "Bearer"
        return found


def body(fault: Fault, request_id: str) -> dict[str, Any]:
    """Give the JSON of an error."""
    return {"error": asdict(fault), "request_id": request_id}
