"""Every rule of the event contract, one line each: what is taken, as what, and what is refused, for which reason."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from campaignctl.domain.events import (
    EventColumns,
    EventLimits,
    EventRow,
    Reject,
    RejectReason,
    decode_events,
    fingerprints,
)
from campaignctl.domain.events.decode import CHUNK_RECORDS, FEW_RECORDS
from campaignctl.domain.events.times import parse_time, parse_times

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
LIMITS = EventLimits()
DAY_MS = 86_400_000

REQUIRED = '"event_id":"e","campaign_id":1,"platform":"meta","event_time":"2026-11-23T12:00:00Z"'
NEIGHBOUR = ("{" + REQUIRED + "}").encode()
MANY = FEW_RECORDS + 7
"""So many records are read in columns."""


def record(members: str = "", **replaced: str) -> bytes:
    """A good record with members added, or with one of its own (given as JSON text) replaced; "-" leaves it out."""
    own = dict(pair.split(":", 1) for pair in REQUIRED.split(","))
    for name, text in replaced.items():
        own[f'"{name}"'] = text
    parts = [f"{name}:{text}" for name, text in own.items() if text != "-"]
    return ("{" + ",".join([*parts, *([members] if members else [])]) + "}").encode()


def both_ways(value: bytes, time_ms: int = NOW_MS, limits: EventLimits = LIMITS) -> EventRow | Reject:
    """Read alone and among others, hence by the exact and by the fast reading; both must say the same."""
    alone = outcome(*decode_events([value], [time_ms], limits), 0)
    values = [NEIGHBOUR] * MANY
    values[3] = value
    columns, rejects = decode_events(values, [time_ms] * MANY, limits)
    among = outcome(columns, rejects, 3)
    if isinstance(alone, Reject):
        assert isinstance(among, Reject)
        assert (among.reason, among.field, among.message) == (alone.reason, alone.field, alone.message)
        assert len(columns) == MANY - 1
    else:
        assert among == alone
        assert len(columns) == MANY
    return alone


def outcome(columns: EventColumns, rejects: list[Reject], index: int) -> EventRow | Reject:
    for reject in rejects:
        if reject.index == index:
            return reject
    row = columns.index.index(index)
    return EventRow(*(getattr(columns, name)[row] for name in EventRow._fields))


def taken(value: bytes, **kwargs: Any) -> EventRow:
    result = both_ways(value, **kwargs)
    assert isinstance(result, EventRow), result
    return result


def refused(value: bytes, **kwargs: Any) -> tuple[str, str]:
    result = both_ways(value, **kwargs)
    assert isinstance(result, Reject), result
    assert 10 < len(result.message) <= 300
    assert result.message.isprintable()
    if result.field:
        assert result.field in result.message
    return result.reason.value, result.field


def test_the_least_an_event_can_say() -> None:
    noon_us = NOW_MS * 1000
    assert taken(record()) == ("e", 1, "meta", noon_us, "metrics", "ZZ", "", "", "", 0, 0, 0, 0, 0, "")


def test_everything_an_event_can_say() -> None:
    value = record(
        '"event_type":"Click","region":"us-ca","ad_group_id":"g","ad_id":"a","device":"d","impressions":3,"clicks":2,'
        '"conversions":0.5,"spend":"12.345678","revenue":1e3,"currency":"inr","unknown":{"a":[1,null,"x"]}',
        platform='"TikTok"',
    )
    assert taken(value)[2:] == (
        "tiktok", NOW_MS * 1000, "click", "US-CA", "g", "a", "d", 3, 2, 500_000, 12_345_678, 1_000_000_000, "INR",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "counts"),
    [
        ('"event_type":"impression"', (1, 0, 0)),
        ('"event_type":"click"', (0, 1, 0)),
        ('"event_type":"CONVERSION"', (0, 0, 1_000_000)),
        ('"event_type":"conversion","conversions":null', (0, 0, 1_000_000)),
        ('"event_type":"conversion","conversions":""', (0, 0, 1_000_000)),
        ('"event_type":"conversion","conversions":0', (0, 0, 0)),
        ('"event_type":"conversion","conversions":"0.0"', (0, 0, 0)),
        ('"event_type":"conversion","conversions":2.5', (0, 0, 2_500_000)),
        ('"event_type":"impression","impressions":0', (0, 0, 0)),
        ('"event_type":"impression","impressions":null', (1, 0, 0)),
        ('"event_type":"impression","impressions":""', (1, 0, 0)),
        ('"event_type":"click","clicks":5,"impressions":7', (7, 5, 0)),
        ('"event_type":"metrics"', (0, 0, 0)),
        ('"event_type":"adjustment"', (0, 0, 0)),
        ('"event_type":null', (0, 0, 0)),
        ('"event_type":""', (0, 0, 0)),
    ],
)
def test_three_types_imply_one_of_their_own_metric(members: str, counts: tuple[int, int, int]) -> None:
    row = taken(record(members))
    assert (row.impressions, row.clicks, row.conversions_millionths) == counts


def test_null_and_empty_are_the_same_as_absent() -> None:
    names = [*EventRow._fields[5:11], "conversions", "spend", "revenue", "currency"]
    bare = taken(record())
    assert taken(record(",".join(f'"{name}":null' for name in names))) == bare
    assert taken(record(",".join(f'"{name}":""' for name in names))) == bare
    for name in ("event_id", "campaign_id", "platform", "event_time"):
        for absent in ("-", "null", '""'):
            assert refused(record(**{name: absent})) == ("missing_field", name)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "malformed_json"),
        (b" \n\t", "malformed_json"),
        (b"hello world", "malformed_json"),
        (b"{", "malformed_json"),
        (record()[:-1], "malformed_json"),
        (record() + b"}", "malformed_json"),
        (record() + b" {}", "malformed_json"),
        (record() + b" // note", "malformed_json"),
        (record() + b"\x00", "malformed_json"),
        (b"{'event_id':'x'}", "malformed_json"),
        (b'{"event_id":"x",}', "malformed_json"),
        (b"\xef\xbb\xbf" + record(), "malformed_json"),
        (record().decode().encode("utf-16"), "malformed_json"),
        (record('"spend":NaN'), "malformed_json"),
        (record('"x":Infinity'), "malformed_json"),
        (record('"x":-Infinity'), "malformed_json"),
        (record('"spend":+1'), "malformed_json"),
        (record('"spend":01'), "malformed_json"),
        (record('"spend":.5'), "malformed_json"),
        (record('"spend":1.'), "malformed_json"),
        (record('"x":01'), "malformed_json"),
        (record('"x":tru'), "malformed_json"),
        (record('"x":"\t"'), "malformed_json"),
        (record('"x":"\x00"'), "malformed_json"),
        (record('"x":"\\x"'), "malformed_json"),
        (record('"x":"\\u12"'), "malformed_json"),
        (record()[:-1] + b',"x":"\xff"}', "malformed_json"),
        (record()[:-1] + b',"device":"\xff"}', "malformed_json"),
        (record()[:-1] + b',"\xc3":1}', "malformed_json"),
        (record()[:-1] + b',"x":"\xed\xa0\x80"}', "malformed_json"),
        (record()[:-1] + b',"x":"\xc0\xaf"}', "malformed_json"),
        (record('"x":"\\ud800"'), "malformed_json"),
        (record('"x":"\\uDFFF"'), "malformed_json"),
        (record('"x":"\\ud800\\u0041"'), "malformed_json"),
        (record('"x":"\\ud800\\ud800"'), "malformed_json"),
        (record('"x":"\\udc00\\ud800"'), "malformed_json"),
        (record('"x":"\\\\\\ud800"'), "malformed_json"),
        (record('"device":"\\ud83d"'), "malformed_json"),
        (record('"\\ud800":1'), "malformed_json"),
        (record('"x":"\\ud800","x":1'), "malformed_json"),
        (b"null", "invalid_type"),
        (b"5", "invalid_type"),
        (b'"x"', "invalid_type"),
        (b"[]", "invalid_type"),
        (b"[" + record() + b"]", "invalid_type"),
        (b" true ", "invalid_type"),
        (b"[1,", "malformed_json"),
        (b'["\\ud800"]', "malformed_json"),
        (b'"\xff"', "malformed_json"),
    ],
)
def test_a_record_must_be_one_json_object(value: bytes, reason: str) -> None:
    assert refused(value) == (reason, "")


@pytest.mark.parametrize(
    "name",
    [
        *"event_id",
        "campaign_id",
        "platform",
        "event_time",
        *EventRow._fields[4:11],
        "conversions",
        "spend",
        "revenue",
        "currency",
        "other",
    ],
)
@pytest.mark.parametrize("text", [b'"\xff"', b'"1\xc3"', b'"\\ud800"', b'"\\udfff1"', b'["\xff"]', b'{"\\udc00":1}'])
def test_no_field_may_hold_what_is_no_text(name: str, text: bytes) -> None:
    assert refused(record()[:-1] + b',"%b":%b}' % (name.encode(), text)) == ("malformed_json", "")


@pytest.mark.parametrize(
    "members",
    [
        '"x":"\\ud83d\\ude00"',
        '"x":"\\uD83D\\uDE00 \\\\ud800 \\u0041"',
        '"x":"\\u0000"',
        '"x":"\x7f\u2028\ufffe"',
        '"x":-0.0e+999999999999',
        '"x":' + "9" * 10_000,
        '"x":"[[[[","\\u0000\\n":{"":[]}',
        '"x":"' + "[{" * 5_000 + '"',
        '"x":"\\"' + "[" * 500 + '"',
    ],
)
def test_unknown_members_may_hold_anything_well_formed(members: str) -> None:
    assert taken(record(members)) == taken(record())
    assert taken(b" \r\n\t" + record(members) + b"\n ") == taken(record())


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_128th_level_is_the_last(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:  # the record itself is the first
        inside = levels - 2
        return record('"x":' + opening * inside + opening[0] + closing + closing * inside)

    assert taken(nested(128)) == taken(record())
    assert refused(nested(129)) == ("malformed_json", "")
    assert refused(nested(5_000)) == ("malformed_json", "")
    assert taken(record('"x":[' + "[]," * 5_000 + "[" * 126 + "]" * 126 + "]")) == taken(record())
    assert refused(record('"x":[' + "[]," * 5_000 + "[" * 127 + "]" * 127 + "]")) == ("malformed_json", "")
    assert refused(b"[" * 128 + b"]" * 128) == ("invalid_type", "")
    assert refused(b"[" * 129 + b"]" * 129) == ("malformed_json", "")


@pytest.mark.parametrize("other", [b"1", b"", b'"e"'])
def test_a_record_is_too_deep_also_where_as_many_others_have_no_brace(other: bytes) -> None:
    """So that there are as many braces as records; each is read as it is alone."""
    deep = record('"x":' + '{"a":' * 127 + "{}" + "}" * 127)
    values = [NEIGHBOUR] * 20 + [deep] + [other] * (deep.count(b"{") - 1) + [NEIGHBOUR] * 20
    assert b"".join(values).count(b"{") == len(values) <= CHUNK_RECORDS
    columns, rejects = decode_events(values, [NOW_MS] * len(values), LIMITS)
    assert len(columns) == 40
    alone = [refused(value) for value in values[20:-20]]
    assert [(reject.reason.value, reject.field) for reject in rejects] == alone


def test_a_million_brackets_neither_crash_nor_take_long() -> None:
    large = EventLimits(max_record_bytes=2_000_000)
    for value in (b"[" * 10**6, record()[:-1] + b',"x":' + b"[" * 10**6, b'{"x":"' + b'\\"[' * 300_000):
        assert refused(value) == ("too_large", "")
        assert refused(value, limits=large) == ("malformed_json", "")


def test_size_is_judged_first() -> None:
    small = EventLimits(max_record_bytes=len(record()))
    assert taken(record(), limits=small) == taken(record())
    assert refused(record() + b" ", limits=small) == ("too_large", "")
    assert refused(b"{" + b" " * len(record()), limits=small) == ("too_large", "")
    assert refused(record('"x":"' + "x" * LIMITS.max_record_bytes + '"')) == ("too_large", "")


@pytest.mark.parametrize(
    ("text", "event_id"),
    [
        ('"x"', "x"),
        ('" "', " "),
        ('"null"', "null"),
        ('"\\u0000"', "\0"),
        ('"\\"\\/\\b\\f\\n\\r\\t"', '"/\b\f\n\r\t'),
        ('"é\U0001f600"', "é\U0001f600"),
        ('"' + "\U0001f600" * 128 + '"', "\U0001f600" * 128),
        ('"' + "\\ud83d\\ude00" * 128 + '"', "\U0001f600" * 128),
    ],
)
def test_an_event_id_is_any_text(text: str, event_id: str) -> None:
    assert taken(record(event_id=text)).event_id == event_id
    assert taken(record(f'"device":{text}')).device == event_id


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("event_id", "5", "invalid_type"),
        ("event_id", "true", "invalid_type"),
        ("event_id", "[]", "invalid_type"),
        ("event_id", "{}", "invalid_type"),
        ("event_id", '"' + "x" * 129 + '"', "invalid_value"),
        ("event_id", '"' + "é" * 129 + '"', "invalid_value"),
        ("campaign_id", '"42"', "invalid_type"),
        ("campaign_id", '"abc"', "invalid_type"),
        ("campaign_id", "42.5", "invalid_type"),
        ("campaign_id", "1e-1", "invalid_type"),
        ("campaign_id", "1e-999999999", "invalid_type"),
        ("campaign_id", "true", "invalid_type"),
        ("campaign_id", "[1]", "invalid_type"),
        ("campaign_id", "0", "invalid_value"),
        ("campaign_id", "-0.0", "invalid_value"),
        ("campaign_id", "-7", "invalid_value"),
        ("campaign_id", "-1e99", "invalid_value"),
        ("platform", "1", "invalid_type"),
        ("platform", "false", "invalid_type"),
        ("platform", '["meta"]', "invalid_type"),
        ("platform", '"facebook"', "unknown_platform"),
        ("platform", '"meta "', "unknown_platform"),
        ("platform", '" "', "unknown_platform"),
        ("platform", '"tiKto\u212a"', "unknown_platform"),
        ("platform", '"linked\u0130n"', "unknown_platform"),
        ("platform", '"' + "x" * 500 + '"', "unknown_platform"),
        ("event_time", "true", "invalid_type"),
        ("event_time", "[]", "invalid_type"),
        ("event_time", "{}", "invalid_type"),
        ("event_time", "1764547200000.5", "invalid_type"),
        ("event_time", "1e-999999999", "invalid_type"),
        ("event_time", '"1792497600000"', "invalid_value"),
        ("event_time", '"yesterday"', "invalid_value"),
        ("event_time", '" 2026-11-23T12:00:00Z"', "invalid_value"),
        ("event_time", '"2026-11-23T12:00:00Z\\n"', "invalid_value"),
        ("event_time", '"2026-11-23T12:00:00Z\\n2026-11-23T12:00:00Z"', "invalid_value"),
        ("event_time", '"2026-11-23T12:00:00Z\\u0000"', "invalid_value"),
        ("event_type", "1", "invalid_type"),
        ("event_type", "[]", "invalid_type"),
        ("event_type", '"view"', "invalid_value"),
        ("event_type", '"clic\u212a"', "invalid_value"),
        ("event_type", '"click "', "invalid_value"),
        ("region", "1", "invalid_type"),
        ("region", "false", "invalid_type"),
        ("region", '"USA"', "invalid_region"),
        ("region", '"US-ABCD"', "invalid_region"),
        ("region", '"\u212aR"', "invalid_region"),
        ("region", '"us-\u017fa"', "invalid_region"),
        ("region", '" "', "invalid_region"),
        ("ad_group_id", "123", "invalid_type"),
        ("ad_group_id", '"' + "x" * 129 + '"', "invalid_value"),
        ("ad_id", "0", "invalid_type"),
        ("ad_id", '"' + "x" * 129 + '"', "invalid_value"),
        ("device", "[]", "invalid_type"),
        ("device", '"' + "é" * 129 + '"', "invalid_value"),
        ("impressions", '"5"', "invalid_type"),
        ("impressions", "true", "invalid_type"),
        ("impressions", "1.5", "invalid_type"),
        ("impressions", "10000000000000001.5", "invalid_type"),
        ("impressions", "1.00000000000000000000000000001", "invalid_type"),
        ("impressions", "1e-999999999", "invalid_type"),
        ("impressions", "-1", "invalid_value"),
        ("impressions", "-1.0", "invalid_value"),
        ("impressions", "10000000000000001", "invalid_value"),
        ("impressions", "10000000000000001.0", "invalid_value"),
        ("impressions", "1e17", "invalid_value"),
        ("impressions", "1e999999999", "invalid_value"),
        ("impressions", "9" * 5_000, "invalid_value"),
        ("impressions", "1e" + "9" * 5_000, "invalid_value"),
        ("clicks", "[1]", "invalid_type"),
        ("clicks", "18446744073709551616", "invalid_value"),
        ("conversions", "true", "invalid_type"),
        ("conversions", "[]", "invalid_type"),
        ("conversions", '"many"', "invalid_value"),
        ("conversions", "-0.5", "invalid_value"),
        ("conversions", "1000000000", "invalid_value"),
        ("spend", "false", "invalid_type"),
        ("spend", "{}", "invalid_type"),
        ("spend", '"12 dollars"', "invalid_value"),
        ("spend", '"+1"', "invalid_value"),
        ("spend", '"01"', "invalid_value"),
        ("spend", '".5"', "invalid_value"),
        ("spend", '"1."', "invalid_value"),
        ("spend", '" 1"', "invalid_value"),
        ("spend", '"1\\n"', "invalid_value"),
        ("spend", '"1,000"', "invalid_value"),
        ("spend", '"1,2"', "invalid_value"),
        ("spend", '"null"', "invalid_value"),
        ("spend", '"1null"', "invalid_value"),
        ("spend", '"1.null"', "invalid_value"),
        ("spend", '"1,null"', "invalid_value"),
        ("spend", '","', "invalid_value"),
        ("spend", '"NaN"', "invalid_value"),
        ("spend", '"1e400\\""', "invalid_value"),
        ("spend", '"\\u0661"', "invalid_value"),
        ("spend", "0.1234567", "invalid_value"),
        ("spend", "0.10000000000001", "invalid_value"),
        ("spend", "99999999.9999999", "invalid_value"),
        ("spend", '"0.1234567"', "invalid_value"),
        ("spend", "0.1000000000000000055", "invalid_value"),
        ("spend", '"1e-7"', "invalid_value"),
        ("spend", "1e9", "invalid_value"),
        ("spend", "1e999999999", "invalid_value"),
        ("spend", "1e-999999999", "invalid_value"),
        ("spend", "9" * 5_000, "invalid_value"),
        ("spend", '"' + "0." + "0" * 5_000 + '1"', "invalid_value"),
        ("revenue", "{}", "invalid_type"),
        ("revenue", '"-1"', "invalid_value"),
        ("revenue", "-0.000001", "invalid_value"),
        ("revenue", "999999999.9999999", "invalid_value"),
        ("currency", "840", "invalid_type"),
        ("currency", '"XYZ"', "invalid_value"),
        ("currency", '"DOLLARS"', "invalid_value"),
        ("currency", '"u\u017fd"', "invalid_value"),
    ],
)  # fmt: skip
def test_what_each_field_refuses(name: str, text: str, reason: str) -> None:
    assert refused(record(**{name: text})) == (reason, name)


@pytest.mark.parametrize(
    ("text", "campaign_id"),
    [
        ("42.0", 42),
        ("4.2e1", 42),
        ("420e-1", 42),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 2**63),
        ("18446744073709551616", 2**64),
        ("1e38", 10**38),
        ("1e39", 10**39),
        ("1e999999999", 10**39),
        ("9" * 5_000, 10**39),
    ],
)
def test_a_campaign_id_is_an_integer_by_value(text: str, campaign_id: int) -> None:
    assert taken(record(campaign_id=text)).campaign_id == campaign_id


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0e-999999999999999999999", 0),
        ("1.0", 1),
        ("1e3", 1000),
        ("1E+3", 1000),
        ("1000e-3", 1),
        ("1.50e1", 15),
        ("9007199254740993", 2**53 + 1),
        ("9007199254740993.0", 2**53 + 1),
        ("9007199254740993000e-3", 2**53 + 1),
        ("10000000000000000", 10**16),
        ("1e16", 10**16),
        ("1." + "0" * 5_000, 1),
        ("1" + "0" * 5_000 + "e-5000", 1),
    ],
)
def test_a_count_is_an_integer_by_value(text: str, count: int) -> None:
    assert taken(record(f'"clicks":{text}')).clicks == count


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("-0", 0),
        ("0e-999", 0),
        ("1e-6", 1),
        ("1e3", 1_000_000_000),
        ("0.1000000000", 100_000),
        ("7.00000100000000", 7_000_001),
        ("0." + "0" * 50 + "1e51", 1_000_000),
        ("999999999999999E-6", 999_999_999_999_999),
        ("999999999.999999", 999_999_999_999_999),
        ("999999999.999999" + "0" * 5_000, 999_999_999_999_999),
        ("123456789.123457", 123_456_789_123_457),
        ("0.000001", 1),
        ("1005E-3", 1_005_000),
    ],
)
def test_an_amount_is_exact_as_a_number_and_as_a_text(text: str, micros: int) -> None:
    for spelled in (text, f'"{text}"', '"' + "".join(f"\\u{ord(c):04x}" for c in text[:300]) + text[300:] + '"'):
        row = taken(record(f'"conversions":{spelled},"spend":{spelled},"revenue":{spelled}'))
        assert row[11:14] == (micros, micros, micros)


def test_only_an_adjustment_may_be_negative_within_the_same_bounds() -> None:
    negative = '"impressions":-3,"clicks":-1e16,"conversions":-0.5,"spend":"-999999999.999999","revenue":-1'
    row = taken(record(f'"event_type":"Adjustment",{negative}'))
    assert row[9:14] == (-3, -(10**16), -500_000, -999_999_999_999_999, -1_000_000)
    for kind in ("impression", "click", "conversion", "metrics"):
        assert refused(record(f'"event_type":"{kind}","spend":-1')) == ("invalid_value", "spend")
        assert refused(record(f'"event_type":"{kind}","clicks":-1')) == ("invalid_value", "clicks")
    for name, text in (("clicks", "-10000000000000001"), ("spend", "-1e9"), ("spend", '"-0.0000001"')):
        assert refused(record(f'"event_type":"adjustment","{name}":{text}')) == ("invalid_value", name)


TIMES = {
    "2026-11-23T12:00:00Z": 0,
    "2026-11-23t12:00:00z": 0,
    "2026-11-23T12:00:00.5Z": 500_000,
    "2026-11-23T12:00:00.123456999999999999999999999999999999999999Z": 123_456,
    "2026-11-23T12:00:00.000000999+00:00": 0,
    "2026-11-23T12:00:00-00:00": 0,
    "2026-11-23T17:30:00+05:30": 0,
    "2026-11-23T17:30:00.25+05:30": 250_000,
    "2026-11-24T11:59:00+23:59": 0,
    "2026-11-22T12:01:00-23:59": 0,
    "2026-11-23T11:59:60Z": 0,
    "2026-11-23T11:59:60.75Z": 750_000,
    "2026-11-22T23:59:60Z": -12 * 3600 * 1_000_000,
    "2026-02-28T23:59:60Z": -(267 * 24 + 36) * 3600 * 1_000_000 + 24 * 3600 * 1_000_000,
}


@pytest.mark.parametrize(("text", "offset_us"), TIMES.items())
def test_a_time_is_an_instant(text: str, offset_us: int) -> None:
    assert taken(record(event_time=f'"{text}"')).event_time_us == NOW_MS * 1000 + offset_us


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00",
        "2026-11-23 12:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T12:60:00Z",
        "2026-11-23T12:00:61Z",
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "0100-02-29T00:00:00Z",
        "2026-11-23T12:00:00+24:00",
        "2026-11-23T12:00:00+23:60",
        "2026-11-23T12:00:00+0530",
        "2026-11-23T12:00:00+05",
        "2026-11-23T12:00:00+05:30:00",
        "2026-11-23T12:00:00.Z",
        "2026-11-23T12:00:00,5Z",
        "2026-11-23T12:00Z",
        "2026-11-23",
        "2026-W48-1T12:00:00Z",
        "20261123T120000Z",
        "02026-11-23T12:00:00Z",
        "+2026-11-23T12:00:00Z",
        "2026-11-23T1:00:00Z",
        "2026-11-23T12:00:00Zz",
        "2026-11-23T12:00:00 Z",
        "2026-11-23T12:00:00\u2212" + "05:30",
        "\u0662026-11-23T12:00:00Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) is None
    assert refused(record(event_time=json.dumps(text))) == ("invalid_value", "event_time")


@pytest.mark.parametrize(
    "text", ["2000-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "0000-02-29T00:00:00Z", "2400-02-29T23:59:60Z"]
)
def test_leap_days(text: str) -> None:
    times_us, no_times = parse_times([text])
    assert no_times == []
    assert times_us.tolist() == [parse_time(text)]


def test_what_is_no_time_leaves_the_others_alone() -> None:
    for no_times in (["Z\nZ"], ["2026-02-30T00:00:00Z"], ["", "now", "\u0662026-11-23T12:00:00Z"]):
        times_us, refused_places = parse_times([*no_times, "2026-11-23T17:30:00+05:30"])
        assert refused_places == list(range(len(no_times)))
        assert times_us[-1] == NOW_MS * 1000


def test_epoch_milliseconds_by_value() -> None:
    for text in (f"{NOW_MS}", f"{NOW_MS}.0", f"{NOW_MS}000e-3", f"{NOW_MS / 10**12!r}e12"):
        assert taken(record(event_time=text)).event_time_us == NOW_MS * 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (str(NOW_MS + DAY_MS), None),
        (str(NOW_MS + DAY_MS + 1), "event_time_in_future"),
        ('"2026-11-24T12:00:00Z"', None),
        ('"2026-11-24T12:00:00.000001Z"', "event_time_in_future"),
        (str(NOW_MS - 400 * DAY_MS), None),
        (str(NOW_MS - 400 * DAY_MS - 1), "event_time_too_old"),
        ('"2025-10-19T12:00:00Z"', None),
        ('"2025-10-19T11:59:59.999999Z"', "event_time_too_old"),
        ("0", "event_time_too_old"),
        ("-0e-999", "event_time_too_old"),
        (str(NOW_MS // 1000), "event_time_too_old"),
        (str(NOW_MS * 1000), "event_time_in_future"),
        ("1e999999999", "event_time_in_future"),
        ("-1e999999999", "event_time_too_old"),
        ("9" * 5_000, "event_time_in_future"),
        ("9223372036854775807", "event_time_in_future"),
        ("-9223372036854775808", "event_time_too_old"),
        ("18446744073709551616", "event_time_in_future"),
        ('"0000-01-01T00:00:00Z"', "event_time_too_old"),
        ('"0001-01-01T00:00:00+23:59"', "event_time_too_old"),
        ('"9999-12-31T23:59:60Z"', "event_time_in_future"),
        ('"9999-12-31T23:59:59-23:59"', "event_time_in_future"),
    ],
)
def test_the_time_in_the_log_judges_the_event_time(text: str, reason: str | None) -> None:
    if reason is None:
        taken(record(event_time=text))
    else:
        assert refused(record(event_time=text)) == (reason, "event_time")


def test_each_record_is_judged_by_its_own_time_and_by_the_limits_given() -> None:
    times_ms = [NOW_MS - 2 * DAY_MS, NOW_MS, NOW_MS + 401 * DAY_MS]
    columns, rejects = decode_events([record()] * 3, times_ms, LIMITS)
    assert columns.index == [1]
    assert [(r.index, r.reason) for r in rejects] == [
        (0, RejectReason.EVENT_TIME_IN_FUTURE),
        (2, RejectReason.EVENT_TIME_TOO_OLD),
    ]
    ancient = EventLimits(retention_days=10**12, max_future_s=10**15)
    for text in ("-1e17", "-100000000000000000"):
        assert taken(record(event_time=text), limits=ancient).event_time_us == -(10**20)
    assert taken(record(event_time='"0000-02-29T00:00:00Z"'), limits=ancient).event_time_us < -62 * 10**15


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (record(event_id="5", campaign_id="0"), "invalid_type", "event_id"),
        (record(campaign_id="0", platform='"snapchat"'), "invalid_value", "campaign_id"),
        (record(platform="-", event_time='"1999-12-31T23:59:59Z"'), "missing_field", "platform"),
        (record(platform='"snapchat"', event_time="-"), "unknown_platform", "platform"),
        (record('"event_type":"view"', event_time='"1999-12-31T23:59:59Z"'), "event_time_too_old", "event_time"),
        (record('"region":"USA","event_type":"view"'), "invalid_value", "event_type"),
        (record('"clicks":-1,"region":"USA"'), "invalid_region", "region"),
        (record('"device":1,"ad_id":1,"ad_group_id":1'), "invalid_type", "ad_group_id"),
        (record('"clicks":-1,"device":1,"ad_id":1'), "invalid_type", "ad_id"),
        (record('"clicks":-1,"impressions":"5"'), "invalid_type", "impressions"),
        (record('"conversions":-1,"impressions":"5"'), "invalid_type", "impressions"),
        (record('"spend":"-1","clicks":"1"'), "invalid_type", "clicks"),
        (record('"spend":true,"conversions":-1'), "invalid_value", "conversions"),
        (record('"revenue":true,"spend":-1'), "invalid_value", "spend"),
        (record('"currency":1,"revenue":-1'), "invalid_value", "revenue"),
        (record('"currency":"XYZ"', campaign_id="2000000001"), "invalid_value", "currency"),
    ],
)
def test_the_first_rule_broken_decides(value: bytes, reason: str, field: str) -> None:
    assert refused(value) == (reason, field)


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert taken(record('"spend":"x","spend":{},"spend":2')).spend_micros == 2_000_000
    assert taken(record('"spend":3,"\\u0073pend":2')).spend_micros == 2_000_000
    assert taken(record('"event_id":"other"')).event_id == "other"
    assert taken(record('"campaign_id":7', campaign_id='"x"')).campaign_id == 7
    assert taken(record('"clicks":1.0,"clicks":2.0')).clicks == 2
    assert refused(record('"platform":"myspace"')) == ("unknown_platform", "platform")
    assert refused(record('"platform":null')) == ("missing_field", "platform")
    assert refused(record('"clicks":1,"clicks":"1"')) == ("invalid_type", "clicks")


@pytest.mark.parametrize(
    ("value", "campaign_id"),
    [
        (record(event_id="-"), 1),
        (record(event_id="-", campaign_id="42.0"), 42),
        (record(event_id="-", campaign_id="1e25"), 10**25),
        (record(event_id="-", campaign_id='"1"'), None),
        (record(event_id="-", campaign_id="0"), None),
        (record('"currency":"XYZ"'), 1),
        (record('"x":"' + "x" * LIMITS.max_record_bytes + '"'), 1),
        (b"[" * (LIMITS.max_record_bytes + 1), None),
        (record()[:-1], None),
        (b"[]", None),
    ],
)
def test_a_refusal_names_the_campaign_where_it_is_readable(value: bytes, campaign_id: int | None) -> None:
    result = both_ways(value)
    assert isinstance(result, Reject)
    assert result.campaign_id == campaign_id


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (record(platform='"face\u202ebook\\u0007"'), 'it is "face\ufffdbook\\u0007"'),
        (record(platform='"' + "x" * 300 + '"'), 'it is "' + "x" * 59 + "… (302 bytes)"),
        (record(platform='"' + "\U0001f600" * 300 + '"'), "… (1202 bytes)"),
        (record('"clicks":[1,2,3]'), "it is a list"),
        (record('"spend":"12 dollars"'), "spend must be a decimal number such as 12.5"),
        (record(event_id="-"), "event_id is missing: every event needs a text of 1 to 128 characters"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (record(event_time=str(NOW_MS // 1000)), "1970-01-21T"),
        (record(event_time="1e30"), "a time outside of the calendar"),
    ],
)
def test_a_refusal_is_a_sentence_that_helps(value: bytes, sentence: str) -> None:
    result = both_ways(value)
    assert isinstance(result, Reject)
    assert sentence in result.message
    assert len(result.message) <= 300
    assert result.message.isprintable()


@pytest.mark.parametrize(
    "time", ['"2026-11-23T12:00:00Z"', f"{NOW_MS}", f"{NOW_MS}.0", f'"{NOW:%Y-%m-%dT%H:%M:%S}.5+00:00"']
)
def test_a_bad_record_changes_nothing_about_the_times_of_the_others(time: str) -> None:
    values = [record(event_time=time)] * MANY
    values[4] = b"{"
    columns, rejects = decode_events(values, [NOW_MS] * MANY, LIMITS)
    assert [reject.index for reject in rejects] == [4]
    assert set(columns.event_time_us) == {taken(values[0]).event_time_us}
    assert columns.index == [*range(4), *range(5, MANY)]


def test_good_and_bad_records_keep_their_places_over_many_chunks() -> None:
    values = [record(event_id=f'"{i}"') for i in range(2 * CHUNK_RECORDS + 3)]
    bad = set(range(0, len(values), 7)) | {CHUNK_RECORDS - 1, CHUNK_RECORDS, len(values) - 1}
    values = [b"x" if i in bad else v for i, v in enumerate(values)]
    columns, rejects = decode_events(values, [NOW_MS] * len(values), LIMITS)
    assert [r.index for r in rejects] == sorted(bad)
    assert columns.event_id == [str(i) for i in columns.index] == [str(i) for i in range(len(values)) if i not in bad]
    assert {len(getattr(columns, name)) for name in ("index", *EventRow._fields)} == {len(columns)}
    assert decode_events([], [], LIMITS) == (EventColumns(), [])


def columns_of(*values: bytes) -> EventColumns:
    columns, rejects = decode_events(values, [NOW_MS] * len(values), LIMITS)
    assert rejects == []
    return columns


def test_a_fingerprint_is_of_what_the_event_says() -> None:
    base = '"ad_group_id":"g","ad_id":"a","device":"d","impressions":1,"clicks":2,"conversions":3,"spend":4,"revenue":5'
    others = [
        record(base, platform='"google"'),
        record(base, event_time='"2026-11-23T12:00:00.000001Z"'),
        record(base + ',"event_type":"click"'),
        record(base + ',"region":"US"'),
        record(base + ',"currency":"EUR"'),
        *(record(base + f',"{name}":"x"') for name in ("ad_group_id", "ad_id", "device")),
        *(record(base + f',"{name}":9') for name in ("impressions", "clicks", "conversions", "spend", "revenue")),
        record(base + ',"ad_group_id":"ga","ad_id":""'),
        record(base + ',"ad_group_id":"g\\u0000a","ad_id":"d","device":""'),
        record(base + ',"ad_group_id":"g","ad_id":"a\\u0000d","device":""'),
        record(base + ',"ad_group_id":"g","ad_id":"","device":"a\\u0000d"'),
        record(base + ',"device":"d\\u0000"'),
        record(base + ',"device":"\U0001f600"'),
        record(base + ',"device":"' + "d" * 128 + '"'),
    ]
    same = [
        record(base),
        record(base, event_id='"another"', campaign_id="77"),
        record(base + ',"spend":"4.00"', platform='"META"', event_time='"2026-11-23T17:30:00+05:30"'),
    ]
    hashes = fingerprints(columns_of(*same, *others)).tolist()
    assert len(set(hashes[:3])) == 1
    assert len(set(hashes)) == 1 + len(others)
    for value, expected in zip([*same, *others], hashes, strict=True):  # whatever stands beside it
        assert fingerprints(columns_of(value)).tolist() == [expected]


def test_fingerprints_are_the_same_in_every_version() -> None:
    columns = columns_of(
        record(),
        record(
            '"region":"in-mh","ad_id":"23850000000000777","device":"mobile","clicks":7,"spend":"12.34","currency":"INR"'
        ),
        record('"device":"smart tv ☃","event_type":"adjustment","revenue":-1.5'),
    )
    assert fingerprints(columns).tolist() == [2267407379818384696, 1040739858471798702, 13833875050611199054]  # stored
    assert fingerprints(EventColumns()).tolist() == []


def sample_folders() -> list[Path]:
    root = os.environ.get("CA_TEST_SAMPLES")
    return sorted(path.parent for path in Path(root).glob("*/events.ndjson.gz")) if root else []


@pytest.mark.skipif("CA_TEST_SAMPLES" not in os.environ, reason="CA_TEST_SAMPLES names no folder")
@pytest.mark.parametrize("folder", sample_folders(), ids=lambda path: path.name)
def test_samples_are_refused_as_expected(folder: Path) -> None:
    lines = gzip.decompress((folder / "events.ndjson.gz").read_bytes()).removesuffix(b"\n").split(b"\n")
    expected = json.loads((folder / "refused.json").read_text())["line_and_reason"]
    _, rejects = decode_events(lines, [NOW_MS] * len(lines), LIMITS)
    assert [[r.index, r.reason.value] for r in rejects] == [pair for pair in expected if pair[1] != "unknown_campaign"]
