"""The words that ``-o`` takes; apart from the writers, so that ``--help`` need not load those."""

from enum import StrEnum


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    """Binary."""
