"""The values of reports, and the log's records of them."""

import json
from datetime import date, timedelta

import msgspec
import pytest

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import (
    Breakdown,
    Coverage,
    Figures,
    ReportedAccount,
    ReportRow,
    ReportSlice,
    decode_report,
    encode_report,
    figures_of,
    report_key,
    slice_digest,
)

ACCOUNT = ReportedAccount(7, Platform.META, "123", "EUR", "Europe/Berlin")
DAY = date(2026, 10, 1)
TOTAL = Figures("", 1000, 20, 1_500_000, 2**63 - 1, None)


def a_slice(*rows: Figures, native_id: str = "c1", breakdown: Breakdown = Breakdown.TOTAL, at: int = 5) -> ReportSlice:
    return ReportSlice(LinkLevel.CAMPAIGN, native_id, DAY, breakdown, at, "default-1", rows)


COVERED = Coverage(LinkLevel.CAMPAIGN, "", Breakdown.TOTAL, DAY, DAY + timedelta(days=6), 5)


def changed(**members: object) -> bytes:
    """A record that is right but for what is given."""
    (value,) = encode_report(ACCOUNT, [a_slice(TOTAL)], [COVERED])
    return json.dumps({**json.loads(value), **members}).encode()


def changed_in(name: str, **members: object) -> bytes:
    (value,) = encode_report(ACCOUNT, [a_slice(TOTAL)], [COVERED])
    record = json.loads(value)
    place = record[name] if name == "account" else record[name][0]
    place.update(members)
    return json.dumps(record).encode()


def test_a_record_says_what_was_put_into_it() -> None:
    countries = a_slice(Figures("IN", 1, None, None, -3, 0), Figures("ZZ", 0, 0, 0, 0, 0), breakdown=Breakdown.COUNTRY)
    (value,) = encode_report(ACCOUNT, [a_slice(TOTAL), countries, a_slice()], [COVERED])
    record = decode_report(value)
    assert record is not None
    assert record.account == ACCOUNT
    assert record.slices == (a_slice(TOTAL), countries, a_slice())
    assert record.coverage == (COVERED,)


def test_pieces_stay_below_the_limit_and_coverage_is_behind_all_slices() -> None:
    slices = [a_slice(TOTAL, native_id=f"c{n}") for n in range(1_000)]
    pieces = list(encode_report(ACCOUNT, iter(slices), [COVERED], piece_bytes=10_000))
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 10_500
    records = [decode_report(piece) for piece in pieces]
    assert [one for record in records if record for one in record.slices] == slices
    assert [len(record.coverage) for record in records if record] == [0] * (len(pieces) - 1) + [1]


def test_nothing_to_say_is_no_record() -> None:
    assert list(encode_report(ACCOUNT, [], [])) == []
    assert len(list(encode_report(ACCOUNT, [], [COVERED]))) == 1


def test_ids_are_read_as_keys() -> None:
    record = decode_report(changed_in("account", account_id="act_123"))
    assert record is not None
    assert record.account == ACCOUNT
    google = decode_report(changed_in("account", platform="google", account_id="123-456-7890"))
    assert google is not None
    assert google.account.account_id == "1234567890"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        changed(v=2),
        changed(v="1"),
        changed(account=None),
        changed(slices=None),
        changed_in("account", organization_id=0),
        changed_in("account", organization_id=2**63),
        changed_in("account", platform="myspace"),
        changed_in("account", account_id=""),
        changed_in("account", currency="eur"),
        changed_in("account", currency="EUR\n"),
        changed_in("slices", level="ad"),
        changed_in("slices", native_id=""),
        changed_in("slices", native_id="x" * 129),
        changed_in("slices", day="1899-12-31"),
        changed_in("slices", day="2026-02-30"),
        changed_in("slices", fetched_at_us=-1),
        changed_in("slices", fetched_at_us=1.5),
        changed_in("slices", breakdown="device"),
        changed_in("slices", rows=[["", 1, 2, 3, 4]]),
        changed_in("slices", rows=[["", 1, 2, 3, 4, 2**63]]),
        changed_in("slices", rows=[["", 1, 2, 3, 4, 0.5]]),
        changed_in("slices", rows=[["", 1, 2, 3, 4, 5], ["", 1, 2, 3, 4, 5]]),
        changed_in("slices", rows=[["IN", 1, 2, 3, 4, 5]]),
        changed_in("slices", breakdown="country", rows=[["", 1, 2, 3, 4, 5]]),
        changed_in("slices", breakdown="country", rows=[["US-CA", 1, 2, 3, 4, 5]]),
        changed_in("coverage", last_day="2026-09-30"),
    ],
)
def test_a_damaged_record_is_none(value: bytes) -> None:
    assert decode_report(value) is None


def test_an_unknown_member_is_left_alone() -> None:
    assert decode_report(changed(note="later")) is not None


def test_a_digest_is_that_of_the_content() -> None:
    india, france = Figures("IN", 1, 1, 1, 1, 1), Figures("FR", 2, 2, 2, 2, None)
    one = a_slice(india, france, breakdown=Breakdown.COUNTRY)
    digest = slice_digest(ACCOUNT, one)
    assert len(digest) == 32
    assert slice_digest(ACCOUNT, a_slice(france, india, breakdown=Breakdown.COUNTRY, at=99)) == digest
    others = [
        slice_digest(msgspec.structs.replace(ACCOUNT, currency="USD"), one),
        slice_digest(msgspec.structs.replace(ACCOUNT, timezone=""), one),
        slice_digest(ACCOUNT, msgspec.structs.replace(one, definition="default-2")),
        slice_digest(ACCOUNT, msgspec.structs.replace(one, rows=(india,))),
        slice_digest(ACCOUNT, msgspec.structs.replace(one, rows=())),
        slice_digest(ACCOUNT, msgspec.structs.replace(one, rows=(india, Figures("FR", 2, 2, 2, 2, 0)))),
    ]
    assert len({digest, *others}) == 7


def test_the_key_names_the_account() -> None:
    assert report_key(ACCOUNT) == b"report:7:meta:123"


def test_a_row_of_a_page_becomes_a_row_of_a_slice() -> None:
    row = ReportRow("c1", DAY, "IN", 1, 2, 3, 4, None)
    assert figures_of(row) == Figures("IN", 1, 2, 3, 4, None)
    assert figures_of(msgspec.structs.replace(row, region="")) == Figures("", 1, 2, 3, 4, None)
