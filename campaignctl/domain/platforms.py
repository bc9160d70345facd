"""The four ad platforms."""

from enum import StrEnum


class Platform(StrEnum):
    META = "meta"
    GOOGLE = "google"
    LINKEDIN = "linkedin"
    TIKTOK = "tiktok"
