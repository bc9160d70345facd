"""The exact reading of one record: its form, then its fields in the order of the contract's table."""

import re
from codecs import BOM_UTF8
from typing import Final

import msgspec
from msgspec import Raw

from campaignctl.domain.events import fields
from campaignctl.domain.events.fields import RuleError
from campaignctl.domain.events.model import EventLimits, EventRow, Reject, RejectReason

MAX_LEVELS: Final = 128

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # an unfinished one ends with the record
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ESCAPE: Final = re.compile(  # a pair, or (kept in the group) half of one, or any other escape
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


class _RawEvent(msgspec.Struct, gc=False):
    """Each field as the bytes of its JSON value. Raw, because of a key given twice only the last may be judged."""

    event_id: Raw = Raw()
    campaign_id: Raw = Raw()
    platform: Raw = Raw()
    event_time: Raw = Raw()
    event_type: Raw = Raw()
    region: Raw = Raw()
    ad_group_id: Raw = Raw()
    ad_id: Raw = Raw()
    device: Raw = Raw()
    impressions: Raw = Raw()
    clicks: Raw = Raw()
    conversions: Raw = Raw()
    spend: Raw = Raw()
    revenue: Raw = Raw()
    currency: Raw = Raw()


_decode_object = msgspec.json.Decoder(_RawEvent).decode
_decode_anything = msgspec.json.Decoder(Raw).decode


def read_record(index: int, value: bytes, log_time_ms: int, limits: EventLimits) -> EventRow | Reject:
    """Read one record exactly; of several broken rules the first decides. Raises nothing, whatever the bytes."""
    raw = _RawEvent()
    try:
        check_form(value, limits)
        raw = _parse(value)
        return _read_fields(raw, log_time_ms, limits)
    except RuleError as refusal:
        if refusal.reason is RejectReason.TOO_LARGE:
            raw = _parse_unjudged(value)
        return Reject(index, refusal.reason, refusal.field, refusal.message, _readable_campaign_id(raw))


def check_form(value: bytes, limits: EventLimits) -> None:
    """Refuse what is too large, and what a JSON parser may let through: bytes, surrogates and nesting."""
    if len(value) > limits.max_record_bytes:
        sizes = f"it has {len(value):,} bytes, {limits.max_record_bytes:,} are allowed"
        raise RuleError(RejectReason.TOO_LARGE, "", f"The record is too large: {sizes}; send one event per record")
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise _malformed(f"the byte at position {error.start} is not UTF-8") from None
        if value.startswith(BOM_UTF8):
            raise _malformed("it begins with a byte order mark")
    if b"\\" in value and any(_ESCAPE.findall(value)):
        raise _malformed("it holds half of a surrogate pair")
    if value.count(b"[") + value.count(b"{") > MAX_LEVELS and _levels(value) > MAX_LEVELS:
        raise _malformed(f"it is nested more than {MAX_LEVELS} levels deep")


def _levels(value: bytes) -> int:
    brackets = _STRING.sub(b"", value).translate(None, _NOT_BRACKETS)
    deepest = level = 0
    for bracket in brackets:
        level += 1 if bracket in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


def _parse(value: bytes) -> _RawEvent:
    try:
        return _decode_object(value)
    except msgspec.ValidationError:
        _parse_anything(value)  # well-formed first
    except msgspec.DecodeError as error:
        raise _malformed(_why(error)) from None
    raise RuleError(RejectReason.INVALID_TYPE, "", "The record must be one JSON object with the fields of an event")


def _parse_anything(value: bytes) -> None:
    try:
        _decode_anything(value)
    except msgspec.DecodeError as error:
        raise _malformed(_why(error)) from None


def _malformed(why: str) -> RuleError:
    return RuleError(
        RejectReason.MALFORMED_JSON, "", f"The record is not valid JSON: {why}; send one JSON object in UTF-8"
    )


def _why(error: msgspec.DecodeError) -> str:
    text = str(error)
    return "it ends too early" if "truncated" in text else text.removeprefix("JSON is malformed: ")


def _read_fields(raw: _RawEvent, log_time_ms: int, limits: EventLimits) -> EventRow:
    event_id = fields.read_event_id(bytes(raw.event_id))
    campaign_id = fields.read_campaign_id(bytes(raw.campaign_id))
    platform = fields.read_platform(bytes(raw.platform))
    event_time_us = fields.read_event_time(bytes(raw.event_time))
    fields.check_event_time(
        event_time_us, log_time_ms, max_future_s=limits.max_future_s, retention_days=limits.retention_days
    )
    event_type = fields.read_event_type(bytes(raw.event_type))
    return EventRow(
        event_id,
        campaign_id,
        platform,
        event_time_us,
        event_type,
        region=fields.read_region(bytes(raw.region)),
        ad_group_id=fields.read_label(bytes(raw.ad_group_id), "ad_group_id"),
        ad_id=fields.read_label(bytes(raw.ad_id), "ad_id"),
        device=fields.read_label(bytes(raw.device), "device"),
        impressions=fields.read_count(bytes(raw.impressions), "impressions", event_type),
        clicks=fields.read_count(bytes(raw.clicks), "clicks", event_type),
        conversions_millionths=fields.read_amount(bytes(raw.conversions), "conversions", event_type),
        spend_micros=fields.read_amount(bytes(raw.spend), "spend", event_type),
        revenue_micros=fields.read_amount(bytes(raw.revenue), "revenue", event_type),
        currency=fields.read_currency(bytes(raw.currency)),
    )


def _parse_unjudged(value: bytes) -> _RawEvent:
    """The fields of a record that was refused unread; none where it cannot be parsed."""
    try:
        return _decode_object(value)
    except (ValueError, RecursionError):
        return _RawEvent()


def _readable_campaign_id(raw: _RawEvent) -> int | None:
    try:
        return fields.read_campaign_id(bytes(raw.campaign_id))
    except RuleError:
        return None
