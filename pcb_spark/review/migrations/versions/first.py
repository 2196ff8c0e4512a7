"""The tables of the first version."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_ID: Final = sa.String(64)
_TIME: Final = sa.String(32)


def upgrade() -> None:
    """Make all tables."""
    for name in ("items", "known_defects"):
        _make_images(name)
    _make_queue()
    _make_entries()
    _make_showings()
    _make_sessions_and_looks()
    _make_approvals()
    _make_orders()


def _make_images(name: str) -> None:
    op.create_table(
        name,
        sa.Column("item_id", _ID, primary_key=True),
        sa.Column("image_id", _ID, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("lot", sa.Text),
        sa.Column("board_id", sa.Text, nullable=False),
        sa.Column("position", sa.Text),
        sa.Column("part_number", sa.Text),
        sa.Column("captured_at", _TIME, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("review", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("pictures", sa.Text, nullable=False),
        sa.Column("loaded_at", _TIME, nullable=False),
    )


def _make_queue() -> None:
    op.create_table(
        "queue",
        sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("deferred", sa.Integer, nullable=False),
        sa.Column("board_at", _TIME, nullable=False),
        sa.Column("board_id", sa.Text, nullable=False),
        sa.Column("certainty", sa.Float, nullable=False),
        sa.Column("lease_page", _ID),
        sa.Column("lease_operator", _ID),
        sa.Column("lease_until", _TIME),
    )
    order = ["status", "deferred", "board_at", "board_id", "certainty"]
    op.create_index("queue_order", "queue", order)


def _make_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("entry_id", _ID, nullable=False, unique=True),
        sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(8)),
        sa.Column("defects", sa.Text),
        sa.Column("comment", sa.Text),
        sa.Column("operator_id", _ID, nullable=False),
        sa.Column("undoes", _ID, unique=True),
        sa.Column("entered_at", _TIME, nullable=False),
    )
    for column in ("item_id", "entered_at"):
        op.create_index(f"ix_entries_{column}", "entries", [column])


def _make_showings() -> None:
    op.create_table(
        "showings",
        sa.Column("item_id", _ID, primary_key=True),
        sa.Column("known_id", _ID, sa.ForeignKey("known_defects.item_id"), nullable=False),
        sa.Column("page", _ID),
        sa.Column("shown_at", _TIME, nullable=False),
        sa.Column("entry_id", _ID, unique=True),
        sa.Column("caught", sa.Boolean),
        sa.Column("answered_at", _TIME),
    )
    op.create_index("ix_showings_answered_at", "showings", ["answered_at"])


def _make_sessions_and_looks() -> None:
    op.create_table(
        "sessions",
        sa.Column("token_sha256", _ID, primary_key=True),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
    )
    op.create_table(
        "looks",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("looked_at", _TIME, nullable=False),
        sa.Column("operator_id", _ID, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
    )


def _make_approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("item_id", _ID, sa.ForeignKey("items.item_id"), nullable=False),
        sa.Column("valid_from", _TIME, nullable=False),
        sa.Column("valid_until", _TIME),
        sa.Column("operator_id", _ID, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("approved_at", _TIME, nullable=False),
    )


def _make_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("said_at", _TIME, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("who", _ID, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
