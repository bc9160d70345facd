"""What comes out of decoding: accepted events column by column, and refused records one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


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


@dataclass(slots=True)
class EventColumns:
    """Events column by column, in the order in which their values were given; all lists are of one length."""

    index: list[int] = field(default_factory=list)
    """Position in the values given."""
    event_id: list[str] = field(default_factory=list)
    campaign_id: list[int] = field(default_factory=list)
    """Above 0; it may exceed 64 bits, then no campaign has it."""
    platform: list[str] = field(default_factory=list)
    event_time_us: list[int] = field(default_factory=list)
    """Epoch microseconds, UTC."""
    event_type: list[str] = field(default_factory=list)
    region: list[str] = field(default_factory=list)
    ad_group_id: list[str] = field(default_factory=list)
    ad_id: list[str] = field(default_factory=list)
    device: list[str] = field(default_factory=list)
    impressions: list[int] = field(default_factory=list)
    clicks: list[int] = field(default_factory=list)
    conversions_millionths: list[int] = field(default_factory=list)
    spend_micros: list[int] = field(default_factory=list)
    revenue_micros: list[int] = field(default_factory=list)
    currency: list[str] = field(default_factory=list)
    """"" where the event named none: the campaign's."""

    def __len__(self) -> int:
        return len(self.index)

    def extend(self, index: Sequence[int], columns: Sequence[Sequence[Any]]) -> None:
        """Add events given as one sequence per field of ``EventRow``."""
        self.index.extend(index)
        for name, values in zip(EventRow._fields, columns, strict=True):
            getattr(self, name).extend(values)
