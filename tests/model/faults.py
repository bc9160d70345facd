"""Records that break one rule of the event table, each with the reason code it must be refused for."""

from __future__ import annotations

import json

MAX_RECORD_BYTES = 262_144

_MEMBERS = r"""
event_id                  | invalid_type         | 5 ; true ; [] ; {} ; 1e400
event_id                  | missing_field        | null ; ""
campaign_id               | invalid_type         | "1" ; "abc" ; 1.5 ; 1e-1 ; true ; [1] ; {} ; 1e-999999999
campaign_id               | invalid_value        | 0 ; -7 ; -1.0 ; 0.0 ; -0 ; 0e999999999 ; -1e999999999
campaign_id               | missing_field        | null ; ""
campaign_id               | unknown_campaign     | 2000000001 ; 18446744073709551616 ; 1e30 ; 1e999999999
platform                  | invalid_type         | 1 ; false ; ["meta"]
platform                  | unknown_platform     | "snapchat" ; "facebook" ; "meta " ; " " ; "lin\u212aedin"
platform                  | unknown_platform     | "m\u0000eta"
platform                  | missing_field        | null ; ""
event_time                | invalid_type         | true ; [] ; {} ; 1764547200000.5 ; 1e-3 ; 1764547200000000001e-6
event_time                | invalid_value        | "yesterday" ; "1792497600000" ; "2026-10-18" ; " "
event_time                | invalid_value        | "2026-10-18 12:00:00Z" ; "2026-10-18T24:00:00Z"
event_time                | invalid_value        | "2026-10-18T10:00:61Z" ; "2026-10-18T10:60:00Z"
event_time                | invalid_value        | "2026-10-18T10:00:00" ; "2026-10-18T10:00Z"
event_time                | invalid_value        | "2026-10-18T10:00:00+24:00" ; "2026-10-18T10:00:00+05:60"
event_time                | invalid_value        | "2026-10-18T10:00:00+0530" ; "2026-10-18T10:00:00\u221205:00"
event_time                | invalid_value        | "2026-02-30T00:00:00Z" ; "2100-02-29T00:00:00Z"
event_time                | invalid_value        | "2026-13-01T00:00:00Z" ; "2026-00-01T00:00:00Z"
event_time                | invalid_value        | "2026-W42-7T10:00:00Z" ; "20261018T100000Z"
event_time                | invalid_value        | "2026-10-18T10:00:00.Z" ; "2026-10-18T10:00:00,5Z"
event_time                | invalid_value        | "2026-10-18T10:00:00 Z" ; "2026-10-18T10:00:00Z\n"
event_time                | invalid_value        | " 2026-10-18T10:00:00Z" ; "12026-10-18T10:00:00Z"
event_time                | invalid_value        | "26-10-18T10:00:00Z" ; "２０２６-10-18T10:00:00Z"
event_time                | missing_field        | null ; ""
event_time                | event_time_in_future | "2096-02-29T00:00:00Z" ; "9999-12-31T23:59:60-23:59" ; 1e999999999
event_time                | event_time_too_old   | "1999-12-31T23:59:59Z" ; "0001-01-01T00:00:00+23:59" ; 0 ; -1
event_time                | event_time_too_old   | -1e99
event_type                | invalid_type         | 1 ; true ; {}
event_type                | invalid_value        | "view" ; "clicks" ; " click" ; "cl\u0131ck"
region                    | invalid_type         | 1 ; [] ; true
region                    | invalid_region       | "USA" ; "U" ; "US_CA" ; "US-" ; "US-ABCD" ; "1A" ; "--" ; "US CA"
region                    | invalid_region       | "Uſ" ; "É1"
ad_group_id ad_id device  | invalid_type         | 123 ; {} ; false
impressions clicks        | invalid_type         | "5" ; "abc" ; 1.5 ; -0.5 ; 1e-1 ; 1e-99999 ; 10000000000000001.5
impressions clicks        | invalid_type         | true ; [1]
impressions clicks        | invalid_value        | -1 ; 10000000000000001 ; 1e17 ; 1e999999999 ; -1e99
conversions spend revenue | invalid_type         | true ; [] ; {}
conversions spend revenue | invalid_value        | -1 ; "-0.5" ; 1000000000 ; 1e9 ; "1e9" ; 1e400 ; 1e999999999
conversions spend revenue | invalid_value        | 0.1234567 ; "1e-7" ; 1e-999999999 ; "12 dollars" ; "1,000"
conversions spend revenue | invalid_value        | "1_000" ; "0x10" ; "+1" ; ".5" ; "5." ; "01" ; " 1" ; "1 " ; "1\n"
conversions spend revenue | invalid_value        | "--1" ; "1e" ; "-" ; "١" ; "NaN" ; "Infinity" ; " "
currency                  | invalid_type         | 840 ; true ; []
currency                  | invalid_value        | "XYZ" ; "DOLLARS" ; "US" ; "USD " ; "$" ; "uſd"
"""

_HUGE = "9" * 5000
_LONG = (
    *(("event_id", "invalid_value", json.dumps(character * 129)) for character in "y😀"),
    *((field, "invalid_value", json.dumps("d" * 129)) for field in ("ad_group_id", "ad_id", "device")),
    ("campaign_id", "unknown_campaign", _HUGE),
    ("event_time", "event_time_in_future", _HUGE),
    *((field, "invalid_value", raw) for field in ("impressions", "clicks") for raw in (_HUGE, f"1e{_HUGE}")),
    *((field, "invalid_value", raw) for field in ("spend", "revenue") for raw in (_HUGE, f'"1e-{_HUGE}"')),
)

BAD_MEMBERS: tuple[tuple[str, str, str], ...] = (
    *(
        (field, code.strip(), raw)
        for fields, code, values in (line.split("|") for line in _MEMBERS.strip().splitlines())
        for field in fields.split()
        for raw in values.strip().split(" ; ")
    ),
    *_LONG,
)
"""Field, reason code, and the raw value that makes an event bad which is good otherwise."""

_MALFORMED = (
    *(b"hello world", b"\x00", b"[", b"{} {}", b"{'event_id': 'x'}", b'{"event_id": "x",}', b'{"event_id": "x", "camp'),
    *(b'{"a": 1} // x', b'{"a": 01}', b'{"a": .5}', b'{"a": +1}', b'{"a" 1}', b'{"a": NaN}', b'{"a": -Infinity}'),
    *(b'{"a": "\t"}', rb'{"a": "\x41"}', b'{"a": "\xff\xfe"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\x80"}'),
    *(rb'{"a": "\ud800"}', rb'{"\udc00": 1}', rb'{"a": ["\ude00\ud83d"]}'),
    *(b"[" * 129 + b"]" * 129, b'{"a":' * 129 + b"1" + b"}" * 129, b"[" * 100_000),
)
_NO_OBJECTS = (
    b"5",
    b'"x"',
    b"null",
    b"true",
    b"1e999999999",
    rb'"\ud83d\ude00"',
    b"[]",
    b"[{}]",
    b"[" * 128 + b"]" * 128,
)

BAD_RECORDS: tuple[tuple[bytes, str], ...] = (
    *((record, "malformed_json") for record in _MALFORMED),
    *((record, "invalid_type") for record in _NO_OBJECTS),
    *((record, "missing_field") for record in (b"{}", b'{"a":' * 128 + b"1" + b"}" * 128)),
    *((record, "too_large") for record in (b" " * (MAX_RECORD_BYTES - 1) + b"{}", b"x" * (MAX_RECORD_BYTES + 1))),
)
"""Whole records that are refused, each with its reason code."""
