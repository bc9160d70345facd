"""The rules of each field, one value at a time: raw JSON in, the checked and normalized value out, or ``RuleError``.

Every function takes the bytes of one JSON value that is known to be well-formed (b"" where the record has none). This
is the reading that decides; ``columns`` is a faster way to the same values for the usual spellings.
"""

from datetime import UTC, datetime
from typing import Final, Never

import msgspec

from campaignctl.domain.currencies import normalize_currency
from campaignctl.domain.events.model import RejectReason
from campaignctl.domain.events.times import parse_time
from campaignctl.domain.money import AmountError, parse_millionths, parse_number
from campaignctl.domain.platforms import Platform
from campaignctl.domain.regions import UNKNOWN_REGION, normalize_region

ADJUSTMENT: Final = "adjustment"
EVENT_TYPES: Final = ("impression", "click", "conversion", "metrics", ADJUSTMENT)
IMPLYING: Final = {"impressions": "impression", "clicks": "click", "conversions": "conversion"}
"""The type of event in which the metric is 1 unless it is given."""
MAX_COUNT: Final = 10**16
MAX_TEXT: Final = 128
HUGE: Final = 10**39
"""Stands for every larger number: what is refused (or unknown) for its size is not multiplied out."""

ABSENT: Final = frozenset({b"", b"null", b'""'})

_TEXT: Final = f"a text of at most {MAX_TEXT} characters"
_COUNT: Final = "an integer from 0 to 10^16 (below 0 only in an adjustment)"
_AMOUNT: Final = "a decimal from 0 to below 10^9 with at most 6 places (below 0 only in an adjustment)"
_WANTED: Final = {
    "event_id": f"a text of 1 to {MAX_TEXT} characters",
    "campaign_id": "an integer above 0, the id that campaignctl gave the campaign",
    "platform": "one of " + ", ".join(Platform),
    "event_time": "an RFC 3339 time with an offset (2026-10-01T12:00:00Z) or integer epoch milliseconds",
    "event_type": "one of " + ", ".join(EVENT_TYPES),
    "region": "a country such as IN or a subdivision such as US-CA (ISO 3166)",
    "ad_group_id": _TEXT,
    "ad_id": _TEXT,
    "device": _TEXT,
    "impressions": _COUNT,
    "clicks": _COUNT,
    "conversions": _AMOUNT,
    "spend": _AMOUNT,
    "revenue": _AMOUNT,
    "currency": "an active ISO 4217 code such as USD",
}

_decode_text = msgspec.json.Decoder(str).decode


class RuleError(Exception):
    """A rule is broken: the reason code, the field ("" for the record) and the sentence for people."""

    def __init__(self, reason: RejectReason, field: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.field, self.message = reason, field, message


def read_event_id(raw: bytes) -> str:
    return _required_text(raw, "event_id")


def read_campaign_id(raw: bytes) -> int:
    """Above 0; what exceeds 39 digits comes as ``HUGE``."""
    if raw in ABSENT:
        _missing("campaign_id")
    value = read_integer(raw, "campaign_id")
    if value <= 0:
        _refuse(RejectReason.INVALID_VALUE, "campaign_id", raw)
    return value


def read_platform(raw: bytes) -> str:
    platform = normalize_platform(_required_text(raw, "platform", longest=None))
    return platform or _refuse(RejectReason.UNKNOWN_PLATFORM, "platform", raw)


def read_event_time(raw: bytes) -> int:
    """Epoch microseconds; an integer of any size (clamped far outside of every bound)."""
    if raw in ABSENT:
        _missing("event_time")
    if raw[:1] != b'"':
        return read_integer(raw, "event_time") * 1000
    time_us = parse_time(_decode_text(raw))
    return _refuse(RejectReason.INVALID_VALUE, "event_time", raw) if time_us is None else time_us


def check_event_time(event_time_us: int, log_time_ms: int, *, max_future_s: int, retention_days: int) -> None:
    """Judge the event's time against the log's; exactly on a bound is within it."""
    ahead_us = event_time_us - log_time_ms * 1000
    if ahead_us > max_future_s * 1_000_000:
        raise RuleError(
            RejectReason.EVENT_TIME_IN_FUTURE,
            "event_time",
            f"event_time is more than {max_future_s / 3600:g} hours ahead of the log's clock: {_spell(event_time_us)}, "
            f"taken at {_spell(log_time_ms * 1000)}; send the time at which it happened, in UTC or with its offset",
        )
    if ahead_us < -retention_days * 86_400_000_000:
        raise RuleError(
            RejectReason.EVENT_TIME_TOO_OLD,
            "event_time",
            f"event_time is older than the {retention_days} days for which events are kept: {_spell(event_time_us)}, "
            f"taken at {_spell(log_time_ms * 1000)}; epoch times are in milliseconds",
        )


def read_event_type(raw: bytes) -> str:
    if raw in ABSENT:
        return "metrics"
    event_type = normalize_event_type(_text(raw, "event_type"))
    return event_type or _refuse(RejectReason.INVALID_VALUE, "event_type", raw)


def read_region(raw: bytes) -> str:
    if raw in ABSENT:
        return UNKNOWN_REGION
    return normalize_region(_text(raw, "region")) or _refuse(RejectReason.INVALID_REGION, "region", raw)


def read_label(raw: bytes, field: str) -> str:
    """``ad_group_id``, ``ad_id`` or ``device``."""
    return "" if raw in ABSENT else _text(raw, field, longest=MAX_TEXT)


def read_count(raw: bytes, field: str, event_type: str) -> int:
    """``impressions`` or ``clicks``; 1 where absent and implied by the event's type."""
    if raw in ABSENT:
        return int(IMPLYING.get(field) == event_type)
    value = read_integer(raw, field)
    if abs(value) > MAX_COUNT or (value < 0 and event_type != ADJUSTMENT):
        _refuse(RejectReason.INVALID_VALUE, field, raw)
    return value


def read_amount(raw: bytes, field: str, event_type: str) -> int:
    """``conversions``, ``spend`` or ``revenue`` in millionths; 1 where absent and implied by the event's type."""
    if raw in ABSENT:
        return 1_000_000 if IMPLYING.get(field) == event_type else 0
    if raw[:1] == b'"':
        text = _decode_text(raw)
    elif _is_number(raw):
        text = raw.decode()
    else:
        _refuse(RejectReason.INVALID_TYPE, field, raw)
    try:
        value = parse_millionths(text)
    except AmountError as problem:
        raise RuleError(RejectReason.INVALID_VALUE, field, f"{field} {problem}; it is {_echo(raw)}") from None
    if value < 0 and event_type != ADJUSTMENT:
        _refuse(RejectReason.INVALID_VALUE, field, raw)
    return value


def read_currency(raw: bytes) -> str:
    """The code in upper case; "" stands for the campaign's own."""
    if raw in ABSENT:
        return ""
    return normalize_currency(_text(raw, "currency")) or _refuse(RejectReason.INVALID_VALUE, "currency", raw)


def normalize_platform(text: str) -> str | None:
    return _PLATFORMS.get(text.lower()) if text.isascii() else None


def normalize_event_type(text: str) -> str | None:
    return _EVENT_TYPES.get(text.lower()) if text.isascii() else None


_PLATFORMS: Final = {platform.value: platform.value for platform in Platform}
_EVENT_TYPES: Final = {event_type: event_type for event_type in EVENT_TYPES}


def _required_text(raw: bytes, field: str, *, longest: int | None = MAX_TEXT) -> str:
    if raw in ABSENT:
        _missing(field)
    return _text(raw, field, longest=longest)


def _text(raw: bytes, field: str, *, longest: int | None = None) -> str:
    if raw[:1] != b'"':
        _refuse(RejectReason.INVALID_TYPE, field, raw)
    text = _decode_text(raw)
    if longest is not None and len(text) > longest:
        _refuse(RejectReason.INVALID_VALUE, field, raw)
    return text


def read_integer(raw: bytes, field: str) -> int:
    """The integer, beyond 39 digits ``HUGE``, whichever way the number is spelled."""
    if raw.isdigit() and len(raw) <= 39:
        return int(raw)
    number = parse_number(raw.decode()) if _is_number(raw) else None
    if number is None or not number.is_integer:
        _refuse(RejectReason.INVALID_TYPE, field, raw)
    if number.integer_digits > 39:
        return -HUGE if number.negative else HUGE
    return number.times_power_of_ten(0)


def _is_number(raw: bytes) -> bool:
    return raw[0] in b"-0123456789"


def _missing(field: str) -> Never:
    raise RuleError(RejectReason.MISSING_FIELD, field, f"{field} is missing: every event needs {_WANTED[field]}")


def _refuse(reason: RejectReason, field: str, raw: bytes) -> Never:
    raise RuleError(reason, field, f"{field} must be {_WANTED[field]}; it is {_echo(raw)}")


def _echo(raw: bytes) -> str:
    """The value as it came, shortened to what fits in a sentence and can be printed anywhere."""
    kind = _KINDS.get(raw[:1])
    if kind is not None:
        return kind
    text = raw[:240].decode(errors="ignore")
    shown = text[:60]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown if len(raw) <= 240 and len(text) <= 60 else f"{shown}… ({len(raw)} bytes)"


_KINDS: Final = {b"[": "a list", b"{": "an object"}


def _spell(time_us: int) -> str:
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "a time outside of the calendar"
