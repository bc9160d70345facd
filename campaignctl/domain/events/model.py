"""What comes out of decoding: accepted events column by column, and refused records one by one."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray


class RejectReason(StrEnum):
    """Why a record is refused; the values are the reason codes of dead letters."""

    MALFORMED_JSON = "malformed_json"
    MISSING_FIELD = "missing_field"
    INVALID_TYPE = "invalid_type"
    INVALID_VALUE = "invalid_value"
    INVALID_REGION = "invalid_region"
    UNKNOWN_PLATFORM = "unknown_platform"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    """Never given by decoding: only the metadata store knows."""
    EVENT_TIME_IN_FUTURE = "event_time_in_future"
    EVENT_TIME_TOO_OLD = "event_time_too_old"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that breaks a rule: the first one broken, in the order of the fields of ``EventRow``."""

    index: int
    """Position in the values given."""
    reason: RejectReason
    field: str
    """The field at fault; "" when it is the record as a whole."""
    message: str
    """A sentence of at most 300 printable characters that says what would be right."""
    campaign_id: int | None
    """Of the record when it had a readable one (it may exceed 64 bits): the dead letter is that campaign's."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """The bounds that are a matter of configuration."""

    max_record_bytes: int = 262_144
    retention_days: int = 400
    max_future_s: int = 86_400


class EventRow(NamedTuple):
    """One event, checked and normalized; every default filled in, except the campaign's currency."""

    event_id: str
    campaign_id: int
    platform: str
    event_time_us: int
    event_type: str
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    impressions: int
    clicks: int
    conversions_millionths: int
    spend_micros: int
    revenue_micros: int
    currency: str


Numbers: TypeAlias = list[int] | NDArray[np.int64]
"""A list for who looks at single events, an array for who handles many."""
NUMBERS: Final = frozenset(
    {"index", "event_time_us", "impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros"}
)
"""The columns of ``Numbers``."""


@dataclass(slots=True)
class EventColumns:
    """Events column by column, in the order in which their values were given; all columns are of one length."""

    index: Numbers = field(default_factory=list)
    """Position in the values given."""
    event_id: list[str] = field(default_factory=list)
    campaign_id: list[int] = field(default_factory=list)
    """Above 0; it may exceed 64 bits, then no campaign has it."""
    platform: list[str] = field(default_factory=list)
    event_time_us: Numbers = field(default_factory=list)
    """Epoch microseconds, UTC."""
    event_type: list[str] = field(default_factory=list)
    region: list[str] = field(default_factory=list)
    ad_group_id: list[str] = field(default_factory=list)
    ad_id: list[str] = field(default_factory=list)
    device: list[str] = field(default_factory=list)
    impressions: Numbers = field(default_factory=list)
    clicks: Numbers = field(default_factory=list)
    conversions_millionths: Numbers = field(default_factory=list)
    spend_micros: Numbers = field(default_factory=list)
    revenue_micros: Numbers = field(default_factory=list)
    currency: list[str] = field(default_factory=list)
    """"" where the event named none: the campaign's."""

    def __len__(self) -> int:
        return len(self.index)

    def selected(self, kept: NDArray[np.bool_]) -> "EventColumns":
        """The events whose flags are set; their numbers are in arrays."""
        flags = kept.tolist()
        columns: dict[str, Any] = {}
        for column in fields(self):
            values = getattr(self, column.name)
            columns[column.name] = np.asarray(values)[kept] if column.name in NUMBERS else list(compress(values, flags))
        return EventColumns(**columns)
