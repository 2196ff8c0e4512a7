"""What makes the tables of the verdict store, step by step; Alembic runs it."""
