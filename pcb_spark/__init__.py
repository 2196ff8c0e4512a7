"""Second gate behind a board test machine: clears false calls, keeps defects for people."""

__version__ = "0.1.0"
