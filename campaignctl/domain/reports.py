"""What a platform's reporting API says: slices in versions, what a fetch covered, and the log's records of both.

A *slice* is everything a platform says of one native campaign on one of the account's days in one breakdown. It is
replaced whole, so a row that a newer version no longer has is gone; a slice without rows says 0. *Coverage* says which
days a fetch asked for and got to the end of, changed or not: it tells "says 0" from "was never fetched".

Money and conversions are integers of millionths. An absent metric is one the platform does not give in the breakdown.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from campaignctl.domain.campaigns import NATIVE_ID_MAX_CODE_POINTS, LinkLevel
from campaignctl.domain.platforms import Platform, account_key, native_key

REPORT_KIND: Final = "report"
"""What the header of the product's own records says of these."""
LARGEST_PIECE_BYTES: Final = 500_000
"""Records of the log hold up to this much, unless one slice alone is larger: half of what any topic takes."""
TOTAL_REGION: Final = ""
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2200, 1, 1)
"""Days outside are no days of a report, and no store has to know them."""

_VERSION = 1
_LAST_US = 7_258_118_400_000_000  # 2200-01-01
_COUNTRY = re.compile(r"[A-Z]{2}")

_Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NativeId = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]+\Z", max_length=NATIVE_ID_MAX_CODE_POINTS)]
_Instant = Annotated[int, Meta(ge=0, le=_LAST_US)]


class Breakdown(StrEnum):
    """The shapes that reports come in. Those of a day's countries never add up to its total, so they are kept apart."""

    TOTAL = "total"
    COUNTRY = "country"


class ReportRow(msgspec.Struct, frozen=True, gc=False):
    """What a platform says of one native campaign on one of the account's days, in total or for one country."""

    native_id: str
    day: date
    region: str
    """"" in a day's total; ISO 3166-1 alpha-2 in a country's row, "ZZ" where the platform names no country."""
    impressions: int | None
    clicks: int | None
    conversions_millionths: int | None
    spend_micros: int | None
    revenue_micros: int | None
    """None, of each metric: not given in this breakdown."""


class Figures(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of a slice."""

    region: str
    impressions: _Number | None
    clicks: _Number | None
    conversions_millionths: _Number | None
    spend_micros: _Number | None
    revenue_micros: _Number | None


def figures_of(row: ReportRow) -> Figures:
    return Figures(
        row.region, row.impressions, row.clicks, row.conversions_millionths, row.spend_micros, row.revenue_micros
    )


class ReportSlice(msgspec.Struct, frozen=True, gc=False):
    """One version of what stands for (native campaign, day, breakdown)."""

    level: LinkLevel
    native_id: _NativeId
    day: date
    breakdown: Breakdown
    fetched_at_us: _Instant
    """When the platform's answer came; of two versions the one fetched later stands."""
    definition: Annotated[str, Meta(max_length=64)]
    """The version of the definition that the conversions were counted by; "" when there is none."""
    rows: tuple[Figures, ...]
    """One for a total, one per country; none at all: the platform has nothing of the day any more."""

    def __post_init__(self) -> None:
        _require(FIRST_DAY <= self.day < LAST_DAY, "the day is out of range")
        if self.breakdown is Breakdown.TOTAL and len(self.rows) <= 1:
            _require(not self.rows or self.rows[0].region == TOTAL_REGION, "a total has no regions")
            return
        regions = [row.region for row in self.rows]
        _require(len(set(regions)) == len(regions), "a region is there twice")
        if self.breakdown is Breakdown.TOTAL:
            _require(set(regions) <= {TOTAL_REGION}, "a total has no regions")
        else:
            _require(all(map(_COUNTRY.fullmatch, regions)), "a region is no country")


class Coverage(msgspec.Struct, frozen=True, gc=False):
    """A fetch that has got to the end of these (inclusive) days, whatever it found."""

    level: LinkLevel
    native_id: Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z", max_length=NATIVE_ID_MAX_CODE_POINTS)]
    """"": every native campaign that the account has at this level."""
    breakdown: Breakdown
    first_day: date
    last_day: date
    fetched_at_us: _Instant

    def __post_init__(self) -> None:
        _require(FIRST_DAY <= self.first_day <= self.last_day < LAST_DAY, "the days are out of range")


class ReportedAccount(msgspec.Struct, frozen=True):
    """Whose report it is. Ids are keys (``domain.platforms``) here and in everything that is stored."""

    organization_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    platform: Platform
    account_id: _NativeId
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
    timezone: Annotated[str, Meta(max_length=64)]
    """As the platform tells; "" when it does not."""


class ReportRecord(msgspec.Struct, frozen=True):
    """The content of one record of the log: slices, and behind them what the fetch covered."""

    account: ReportedAccount
    slices: tuple[ReportSlice, ...] = ()
    coverage: tuple[Coverage, ...] = ()


class _Written(msgspec.Struct):
    v: int
    account: ReportedAccount
    slices: list[Raw]
    coverage: list[Raw]


class _Version(msgspec.Struct):
    v: int


_encode = msgspec.json.Encoder().encode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_record = msgspec.json.Decoder(ReportRecord).decode


def report_key(account: ReportedAccount) -> bytes:
    """The key of an account's records: all of them lie in one partition, in the order in which they were produced."""
    return f"report:{account.organization_id}:{account.platform}:{account.account_id}".encode()


def encode_report(
    account: ReportedAccount,
    slices: Iterable[ReportSlice],
    coverage: Sequence[Coverage],
    *,
    piece_bytes: int = LARGEST_PIECE_BYTES,
) -> Iterator[bytes]:
    """The values of the records that say this, to be produced in order: coverage comes behind the last slice.

    Only the slices of one piece are held at a time. Nothing to say is no record.
    """
    piece: list[Raw] = []
    size = 0
    for one in slices:
        text = _encode(one)
        if piece and size + len(text) > piece_bytes:
            yield _encode(_Written(_VERSION, account, piece, []))
            piece, size = [], 0
        piece.append(Raw(text))
        size += len(text) + 1
    told = [Raw(_encode(one)) for one in coverage]
    if piece or told:
        yield _encode(_Written(_VERSION, account, piece, told))


def decode_report(value: bytes) -> ReportRecord | None:
    """What a record says, by keys; None when it is damaged, or of a version that this program does not know."""
    try:
        if _decode_version(value).v != _VERSION:
            return None
        return _by_keys(_decode_record(value))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def slice_digest(account: ReportedAccount, one: ReportSlice) -> str:
    """32 hexadecimal digits of what a slice says: equal for equal content, in whatever order its regions come.

    When it was fetched is no part of it; the account's currency and zone and the definition are.
    """
    rows = sorted(one.rows, key=lambda row: row.region)
    said = _encode([account.currency, account.timezone, one.definition, rows])
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def _by_keys(record: ReportRecord) -> ReportRecord:
    account, replace = record.account, msgspec.structs.replace
    platform, key = account.platform, account_key(account.platform, account.account_id)

    def native(one: ReportSlice | Coverage) -> str:
        return native_key(platform, one.level, one.native_id)

    return ReportRecord(
        replace(account, account_id=key),
        tuple(replace(one, native_id=native(one)) for one in record.slices),
        tuple(replace(one, native_id=native(one)) for one in record.coverage),
    )


def _require(condition: bool, message: str) -> None:  # noqa: FBT001
    if not condition:
        raise ValueError(message)
