"""Measurements: speed, memory and start-up against others, and what single choices are worth."""
