"""How one record is read and judged (contract, section 1), written from the contract alone.

`read_event` gives the event as it is stored, or raises `RefusedError` with the reason code of the first rule broken in
the order of the contract's table. Numbers are judged by their value, never by their spelling, and are never multiplied
out before their size is known; times are integers of microseconds, so that no year can overflow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

PLATFORMS = frozenset({"meta", "google", "linkedin", "tiktok"})
EVENT_TYPES = frozenset({"impression", "click", "conversion", "metrics", "adjustment"})
_ISO_4217 = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX
YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_ISO_4217.split())

MICRO = 10**6
DAY_US = 86_400 * MICRO
MAX_DEPTH = 128
MAX_TEXT = 128
MAX_COUNT = 10**16
MAX_DECIMAL = 10**9 * MICRO

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
REGION = re.compile(r"[A-Za-z]{2}(?:-[A-Za-z0-9]{1,3})?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


class RefusedError(Exception):
    """The record breaks a rule; `code` is the reason its dead letter carries."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Event:
    """A record after normalisation. Decimals are integers of millionths, `instant` is microseconds since 1970 UTC."""

    campaign_id: int
    event_id: str
    platform: str
    instant: int
    event_type: str
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    impressions: int
    clicks: int
    conversions: int
    spend: int
    revenue: int
    currency: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that decide whether a record is taken."""

    retention_days: int
    max_record_bytes: int


@dataclass(frozen=True, slots=True)
class JsonNumber:
    """A JSON number as it was spelled."""

    text: str


@dataclass(frozen=True, slots=True)
class Decimal10:
    """A number by value: (-1 if negative) * digits * 10**exponent, with no zero at either end of `digits`."""

    negative: bool
    digits: str
    exponent: int

    @classmethod
    def read(cls, text: str) -> Decimal10 | None:
        """The value of a text in JSON's number grammar; None when it is not of that grammar."""
        match = _NUMBER.fullmatch(text)
        if match is None:
            return None
        sign, whole, fraction, exponent_sign, exponent = match.groups(default="")
        exponent = exponent.lstrip("0") or "0"
        power = int(exponent) if len(exponent) <= 12 else 10**12  # far beyond what any record could shift back
        power = (-power if exponent_sign == "-" else power) - len(fraction)
        digits = (whole + fraction).lstrip("0")
        trimmed = digits.rstrip("0")
        if not trimmed:
            return cls(False, "", 0)
        return cls(sign == "-", trimmed, power + len(digits) - len(trimmed))

    @property
    def places(self) -> int:
        """How many decimal places the value needs."""
        return max(0, -self.exponent)

    def times_ten_to(self, power: int) -> int:
        """The value * 10**power as an integer (`places` must not exceed power); 10**60 stands for all above 10**40."""
        if len(self.digits) + self.exponent > 40:
            magnitude = 10**60
        else:
            magnitude = int(self.digits or "0") * 10 ** (self.exponent + power)
        return -magnitude if self.negative else magnitude


def read_event(value: bytes, log_time_ms: int, currencies: Mapping[int, str], limits: Limits) -> Event:
    """The event that a record says, judged at its time in the log; `currencies` are those of the known campaigns."""
    if len(value) > limits.max_record_bytes:
        raise RefusedError("too_large")
    record = _read_json(value)
    if not isinstance(record, _Object):
        raise RefusedError("invalid_type")
    last_said = dict(record.pairs)  # of a key given twice the last counts, also when it says nothing
    fields = {name: member for name, member in last_said.items() if member is not None and member != ""}

    event_id = _text(_required(fields, "event_id"))
    campaign_id = _campaign_id(_required(fields, "campaign_id"))
    platform = _one_of(_required(fields, "platform"), PLATFORMS, "unknown_platform")
    instant = _event_time(_required(fields, "event_time"), log_time_ms, limits.retention_days)
    event_type = _one_of(fields.get("event_type", "metrics"), EVENT_TYPES, "invalid_value")
    region = _region(fields.get("region", "ZZ"))
    ad_group_id, ad_id, device = (_text(fields.get(name, "")) for name in ("ad_group_id", "ad_id", "device"))
    signed = event_type == "adjustment"
    implied = JsonNumber("1")
    absent = JsonNumber("0")
    impressions = _count(fields.get("impressions", implied if event_type == "impression" else absent), signed)
    clicks = _count(fields.get("clicks", implied if event_type == "click" else absent), signed)
    conversions = _decimal(fields.get("conversions", implied if event_type == "conversion" else absent), signed)
    spend = _decimal(fields.get("spend", absent), signed)
    revenue = _decimal(fields.get("revenue", absent), signed)
    currency = _currency(fields["currency"]) if "currency" in fields else None
    if campaign_id not in currencies:
        raise RefusedError("unknown_campaign")
    return Event(
        campaign_id, event_id, platform, instant, event_type, region, ad_group_id, ad_id, device,
        impressions, clicks, conversions, spend, revenue, currency or currencies[campaign_id],
    )  # fmt: skip


def parse_instant(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time with an offset; None when it is not one."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, offset_hour, offset_minute = match.group(7, 8, 9, 10)
    offset_hour, offset_minute = int(offset_hour or 0), int(offset_minute or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return None
    try:  # the calendar repeats every 400 years, and `date` knows no year 0
        days = date(year or 400, month, day).toordinal() - date(1970, 1, 1).toordinal() - (0 if year else 146_097)
    except ValueError:
        return None
    offset = (offset_hour * 60 + offset_minute) * (-60 if sign == "-" else 60)
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
    return seconds * MICRO + int(((fraction or "") + "000000")[:6])


class _Object:
    """A JSON object as the list of its members, repeated keys and all."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


@lru_cache(maxsize=1_000)  # a history's records are read when it is made ready and when they are fed
def _read_json(value: bytes) -> object:
    try:
        text = value.decode("utf-8")
        if _depth(text) > MAX_DEPTH:
            raise RefusedError("malformed_json")
        document = json.loads(
            text,
            object_pairs_hook=_Object,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=_no_constant,
        )
    except ValueError as error:  # bad UTF-8, bad JSON, NaN and Infinity
        raise RefusedError("malformed_json") from error
    if "\\" in text and _has_lone_surrogate(document):  # UTF-8 has none, so only an escape can stand for one
        raise RefusedError("malformed_json")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside of strings."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[{\]}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _has_lone_surrogate(document: object) -> bool:
    pending = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            if _SURROGATE.search(node):
                return True
        elif isinstance(node, _Object):
            for pair in node.pairs:
                pending.extend(pair)
        elif isinstance(node, list):
            pending.extend(node)
    return False


def _required(fields: Mapping[str, object], name: str) -> object:
    if name not in fields:
        raise RefusedError("missing_field")
    return fields[name]


def _string(member: object) -> str:
    if not isinstance(member, str):
        raise RefusedError("invalid_type")
    return member


def _text(member: object) -> str:
    text = _string(member)
    if len(text) > MAX_TEXT:
        raise RefusedError("invalid_value")
    return text


def _one_of(member: object, names: frozenset[str], otherwise: str) -> str:
    """A name in any case; only ASCII letters have a case here, so that a Kelvin sign is no k."""
    name = _string(member)
    if not name.isascii() or name.lower() not in names:
        raise RefusedError(otherwise)
    return name.lower()


def _region(member: object) -> str:
    region = _string(member)
    if not REGION.fullmatch(region):
        raise RefusedError("invalid_region")
    return region.upper()


def _currency(member: object) -> str:
    currency = _string(member)
    if not currency.isascii() or currency.upper() not in CURRENCIES:
        raise RefusedError("invalid_value")
    return currency.upper()


def _integer(member: object) -> int:
    number = Decimal10.read(member.text) if isinstance(member, JsonNumber) else None
    if number is None or number.places:
        raise RefusedError("invalid_type")
    return number.times_ten_to(0)


def _campaign_id(member: object) -> int:
    campaign_id = _integer(member)
    if campaign_id <= 0:
        raise RefusedError("invalid_value")
    return campaign_id


def _event_time(member: object, log_time_ms: int, retention_days: int) -> int:
    instant = parse_instant(member) if isinstance(member, str) else _integer(member) * 1000
    if instant is None:
        raise RefusedError("invalid_value")
    log_time = log_time_ms * 1000
    if instant > log_time + DAY_US:
        raise RefusedError("event_time_in_future")
    if instant < log_time - retention_days * DAY_US:
        raise RefusedError("event_time_too_old")
    return instant


def _count(member: object, signed: bool) -> int:
    count = _integer(member)
    if abs(count) > MAX_COUNT or (count < 0 and not signed):
        raise RefusedError("invalid_value")
    return count


def _decimal(member: object, signed: bool) -> int:
    """A decimal in millionths."""
    number = Decimal10.read(member.text if isinstance(member, JsonNumber) else _string(member))
    if number is None or number.places > 6:
        raise RefusedError("invalid_value")
    millionths = number.times_ten_to(6)
    if abs(millionths) >= MAX_DECIMAL or (millionths < 0 and not signed):
        raise RefusedError("invalid_value")
    return millionths
