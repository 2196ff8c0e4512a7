"""Spark's session, and tables on any store: schemas, catalogue, exchange, leases."""
