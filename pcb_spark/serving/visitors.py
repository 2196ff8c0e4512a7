"""Who is at the review page: by a login with an API key, or by the plant's reverse proxy."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from pcb_spark.review import database, tables
from pcb_spark.serving import keys
from pcb_spark.serving.refusals import Refusal

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from starlette.requests import Request

    from pcb_spark.review.pseudonyms import Pseudonyms
    from pcb_spark.serving.review_settings import Proxy, ReviewSettings

COOKIE: Final = "pcb_session"
_SESSIONS: Final = tables.SESSIONS.c
_BEARER: Final = "bearer "
_HTTPS: Final = "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody, by a pseudonym, and what he or she may do."""

    operator_id: str
    roles: frozenset[str]


class Reception:
    """Finds out who asks.

    Parameters
    ----------
    ring : the API keys; None: only a proxy lets in.
    """

    def __init__(
        self,
        engine: Engine,
        settings: ReviewSettings,
        ring: keys.KeyRing | None,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._ring = ring
        self._pseudonyms = pseudonyms

    def visitor(self, request: Request) -> Visitor:
        """Say who asks.

        Raises
        ------
        Refusal : 401 where nobody knows.
        """
        found = self._by_proxy(request) or self._by_key(request) or self._by_session(request)
        if found is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "no_key", "nobody is logged in",
                expected="a login with an API key of the plant's file", hint="log in",
            )  # fmt: skip
        return found

    def log_in(self, token: str) -> str:
        """Begin a session; what the cookie holds is shown this once.

        Raises
        ------
        Refusal : 401 without a valid key, 403 where it is of no role of this page.
        """
        key = self._ring.find(token) if self._ring else None
        if key is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "wrong_key", "this API key isn't valid",
                hint="ask who runs the page for a new one",
            )  # fmt: skip
        if not set(key.scopes) & set(keys.ROLES):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "wrong_scope", "this API key is of no role of this page",
                expected=f"scope {' or '.join(keys.ROLES)}", got=", ".join(key.scopes),
            )  # fmt: skip
        secret = secrets.token_urlsafe(32)
        ends_at = tables.in_seconds(self._settings.session_hours * 3600)
        row = {"token_sha256": _digest(secret), "key_id": key.id, "ends_at": ends_at}
        with self._engine.begin() as connection:
            connection.execute(sa.delete(tables.SESSIONS).where(_SESSIONS.ends_at < tables.now()))
            connection.execute(sa.insert(tables.SESSIONS), row)
        return secret

    def log_out(self, request: Request) -> None:
        """End the session of a request."""
        secret = request.cookies.get(COOKIE, "")
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(tables.SESSIONS).where(_SESSIONS.token_sha256 == _digest(secret))
            )

    def is_secure(self, request: Request) -> bool:
        """Whether the browser came by https, as the service sees it or the plant's proxy says."""
        proxy = self._proxy_of(request)
        told = request.headers.get(proxy.scheme_header, "") if proxy else ""
        # A proxy behind a proxy adds its own: the first one met the browser.
        by_proxy = told.partition(",")[0].strip().lower() == _HTTPS
        return self._settings.secure_cookie or request.url.scheme == _HTTPS or by_proxy

    def _proxy_of(self, request: Request) -> Proxy | None:
        """The settings of the proxy that asks; None where it is none that is known."""
        proxy = self._settings.proxy
        if proxy is None or request.client is None or request.client.host not in proxy.addresses:
            return None
        return proxy

    def _by_proxy(self, request: Request) -> Visitor | None:
        proxy = self._proxy_of(request)
        if proxy is None:
            return None
        user = request.headers.get(proxy.user_header, "").strip()
        if not user:
            return None
        named = request.headers.get(proxy.role_header, keys.OPERATOR).split(",")
        return self._known(user, [role.strip().lower() for role in named])

    def _by_key(self, request: Request) -> Visitor | None:
        header = request.headers.get("authorization", "")
        if self._ring is None or header[: len(_BEARER)].lower() != _BEARER:
            return None
        key = self._ring.find(header[len(_BEARER) :].strip())
        return None if key is None else self._known(key.name, key.scopes)

    def _by_session(self, request: Request) -> Visitor | None:
        secret = request.cookies.get(COOKIE)
        if self._ring is None or secret is None:
            return None
        query = sa.select(_SESSIONS.key_id).where(
            _SESSIONS.token_sha256 == _digest(secret), _SESSIONS.ends_at > tables.now()
        )
        with database.reading(self._engine) as connection:
            identity = connection.scalar(query)
        key = self._ring.known(identity) if identity else None
        return None if key is None else self._known(key.name, key.scopes)

    def _known(self, name: str, roles: tuple[str, ...] | list[str]) -> Visitor:
        mine = frozenset(roles) & frozenset(keys.ROLES)
        return Visitor(operator_id=self._pseudonyms.of(name), roles=mine)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
