"""Rendered component images: a camera drop for the demo, known defects for the tests."""
