"""Regions: ISO 3166-1 alpha-2 (``IN``) and ISO 3166-2 (``US-CA``), by form; stored upper-case."""

import re

UNKNOWN_REGION = "ZZ"
"""Where an event named no region, and what a report's countries leave of its total."""

_REGION = re.compile(r"[A-Za-z]{2}(?:-[A-Za-z0-9]{1,3})?")


def normalize_region(text: str) -> str | None:
    """The region in upper case; None when the text has another form. Only ASCII letters are letters here."""
    return text.upper() if _REGION.fullmatch(text) else None


def country_of(region: str) -> str:
    """The country of a normalized region: ``US`` for ``US-CA`` and for ``US``."""
    return region[:2]


def is_subdivision(region: str) -> bool:
    """Whether a normalized region is part of a country (``US-CA``) and not a whole one."""
    return len(region) > 2


def region_matches(asked: str, region: str) -> bool:
    """Whether an answer about ``asked`` counts ``region`` (both normalized).

    A country also matches its subdivisions, a subdivision only itself.
    """
    return region == asked or (len(asked) == 2 and region[:3] == f"{asked}-")
