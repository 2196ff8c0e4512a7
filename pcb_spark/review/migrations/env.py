"""Alembic's entry: runs the steps on the connection that ``database.open_store`` gives."""

from __future__ import annotations

from alembic import context

from pcb_spark.review import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
