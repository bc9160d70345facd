"""Faults done to real servers under load; ``python -m tests.chaos --help``."""
