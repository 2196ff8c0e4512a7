"""A camera drop becomes the tables ``images``, ``verdicts`` and ``rejects``."""
