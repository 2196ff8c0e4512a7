"""Tables of the verdict store, for SQLite and PostgreSQL alike.

Times are ISO 8601 in UTC with microseconds, so that they sort as text. ``migrations/`` makes these
tables, and changes those of earlier versions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
_ID: Final = sa.String(64)


def _images() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("item_id", _ID, primary_key=True),
        sa.Column("image_id", _ID, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("lot", sa.Text),
        sa.Column("board_id", sa.Text, nullable=False),
        sa.Column("position", sa.Text),
        sa.Column("part_number", sa.Text),
        sa.Column("captured_at", sa.String(32), nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("review", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("pictures", sa.Text, nullable=False),  # JSON: see items.Pictures
        sa.Column("loaded_at", sa.String(32), nullable=False),
    )


#: Images that wait, or waited, for an operator; a row is never changed.
ITEMS: Final = sa.Table("items", METADATA, *_images())

#: Where an item stands, and who has it now.
QUEUE: Final = sa.Table(
    "queue", METADATA,
    sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("deferred", sa.Integer, nullable=False, default=0),
    sa.Column("board_at", sa.String(32), nullable=False),
    sa.Column("board_id", sa.Text, nullable=False),
    sa.Column("certainty", sa.Float, nullable=False),
    sa.Column("lease_page", _ID),
    sa.Column("lease_operator", _ID),
    sa.Column("lease_until", sa.String(32)),
    sa.Index("queue_order", "status", "deferred", "board_at", "board_id", "certainty"),
)  # fmt: skip

#: What operators said; rows are added and never changed, so that an undo is a row of its own.
ENTRIES: Final = sa.Table(
    "entries", METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("entry_id", _ID, nullable=False, unique=True),
    sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), nullable=False, index=True),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("verdict", sa.String(8)),
    sa.Column("defects", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("operator_id", _ID, nullable=False),
    sa.Column("undoes", _ID, unique=True),
    sa.Column("entered_at", sa.String(32), nullable=False, index=True),
)  # fmt: skip

#: Known defects, of which some are mixed in to see whether anybody still looks.
KNOWN_DEFECTS: Final = sa.Table("known_defects", METADATA, *_images())

#: Each showing of a known defect. Nobody's name stands here: the page that had it is forgotten
#: with the answer.
SHOWINGS: Final = sa.Table(
    "showings", METADATA,
    sa.Column("item_id", _ID, primary_key=True),
    sa.Column("known_id", _ID, sa.ForeignKey("known_defects.item_id"), nullable=False),
    sa.Column("page", _ID),
    sa.Column("shown_at", sa.String(32), nullable=False),
    sa.Column("entry_id", _ID, unique=True),
    sa.Column("caught", sa.Boolean),
    sa.Column("answered_at", sa.String(32), index=True),
)  # fmt: skip

#: Who is logged in; the token itself is nowhere.
SESSIONS: Final = sa.Table(
    "sessions", METADATA,
    sa.Column("token_sha256", _ID, primary_key=True),
    sa.Column("key_id", _ID, nullable=False),
    sa.Column("ends_at", sa.String(32), nullable=False),
)  # fmt: skip

#: Who looked at figures or took them away.
LOOKS: Final = sa.Table(
    "looks", METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("looked_at", sa.String(32), nullable=False),
    sa.Column("operator_id", _ID, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
)  # fmt: skip

#: Golden images that a lead approved; the last row of a reference counts.
APPROVALS: Final = sa.Table(
    "approvals", METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), nullable=False),
    sa.Column("valid_from", sa.String(32), nullable=False),
    sa.Column("valid_until", sa.String(32)),
    sa.Column("operator_id", _ID, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("approved_at", sa.String(32), nullable=False),
)  # fmt: skip

#: Who stopped clearing of a line, or of all where ``line`` is null, or let it go on.
ORDERS: Final = sa.Table(
    "orders", METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("said_at", sa.String(32), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("line", sa.Text),
    sa.Column("who", _ID, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)  # fmt: skip


def text_of(moment: datetime) -> str:
    """Write a time as the tables do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """Write the present moment."""
    return text_of(datetime.now(UTC))


def in_seconds(seconds: float) -> str:
    """Write the moment in so many seconds."""
    return text_of(datetime.now(UTC) + timedelta(seconds=seconds))
