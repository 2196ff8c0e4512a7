"""What people decide: the queue of images that are left to them, and the store of their verdicts.

No Spark: the page of ``serving`` fills it in, and ingest reads it.
"""
