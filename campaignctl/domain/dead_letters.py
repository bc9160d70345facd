"""Dead letters: records that broke a rule, as they lie in the dead-letter topic.

The value is the record's original bytes; everything else stands in headers, so that a letter can be read without
parsing what could not be parsed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from campaignctl.domain.events import Reject, RejectReason
from campaignctl.domain.fields import FieldReader
from campaignctl.errors import FieldError, InvalidInput

Headers = tuple[tuple[str, bytes], ...]

REPLAY_HEADER = "campaignctl-dead-letter"
"""On a record of the events topic that is a dead letter's, produced again: the letter's id."""
FILTER_MEMBERS = ("reason", "campaign_id", "since", "until")

LARGEST_WHOLE_VALUE_BYTES = 1_048_576
KEPT_OF_LARGER_BYTES = 65_536

_IDS_END = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LetterCode(StrEnum):
    """Why a record is a dead letter: the rule that it breaks, or that processes die of it."""

    MALFORMED_JSON = RejectReason.MALFORMED_JSON.value
    MISSING_FIELD = RejectReason.MISSING_FIELD.value
    INVALID_TYPE = RejectReason.INVALID_TYPE.value
    INVALID_VALUE = RejectReason.INVALID_VALUE.value
    INVALID_REGION = RejectReason.INVALID_REGION.value
    UNKNOWN_PLATFORM = RejectReason.UNKNOWN_PLATFORM.value
    UNKNOWN_CAMPAIGN = RejectReason.UNKNOWN_CAMPAIGN.value
    EVENT_TIME_IN_FUTURE = RejectReason.EVENT_TIME_IN_FUTURE.value
    EVENT_TIME_TOO_OLD = RejectReason.EVENT_TIME_TOO_OLD.value
    TOO_LARGE = RejectReason.TOO_LARGE.value
    QUARANTINED = "quarantined"
    """Breaks no rule that is known: nobody could read it and live."""


@dataclass(frozen=True, slots=True)
class FromLog:
    """The record came by the events topic."""

    topic: str
    incarnation: str
    """Of the topic: offsets begin again in one that is deleted and created anew."""
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class FromRequest:
    """The record came by HTTP."""

    request_id: str
    index: int
    """The record's place in the request."""
    organization_id: int | None
    """The sender's; None for the operator of the machine."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    code: str
    """A ``LetterCode``."""
    message: str
    """A sentence that says what was wrong."""
    value: bytes
    """The original bytes; of a record over 1 MiB the first 64 KiB."""
    at: datetime
    """When it was refused."""
    origin: FromLog | FromRequest
    campaign_id: int | None = None
    """The campaign it named, where that could be read."""
    whole_bytes: int | None = None
    """How long the record was, where ``value`` is only its beginning."""
    sha256: str | None = None
    """Of the whole record, hexadecimal, where ``value`` is only its beginning."""
    replay_of: str | None = None
    """The id of the letter whose record this is, produced again and refused again."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant; None lets every letter pass."""

    reason: str | None = None
    campaign_id: int | None = None
    since_us: int | None = None
    """Epoch microseconds; those refused at or after it."""
    until_us: int | None = None
    """Epoch microseconds; those refused before it."""

    def accepts(self, letter: DeadLetter) -> bool:
        if self.reason is not None and letter.code != self.reason:
            return False
        if self.campaign_id is not None and letter.campaign_id != self.campaign_id:
            return False
        at_us = (letter.at - _EPOCH) // _MICROSECOND
        return (self.since_us is None or at_us >= self.since_us) and (self.until_us is None or at_us < self.until_us)


def letter_filter(values: Mapping[str, object]) -> LetterFilter:
    """The filter that ``FILTER_MEMBERS`` describe; raises ``InvalidInput`` that names each wrong one."""
    errors: list[FieldError] = []
    given = FieldReader(values, FILTER_MEMBERS, errors)
    reason = given.choice("reason", LetterCode, LetterCode.MALFORMED_JSON).value if given.given("reason") else None
    wanted = LetterFilter(reason, given.id("campaign_id"), given.instant_us("since"), given.instant_us("until"))
    if errors:
        raise InvalidInput(errors)
    return wanted


def dead_letter(reject: Reject, value: bytes, at: datetime, origin: FromLog | FromRequest) -> DeadLetter:
    """The letter of a refused record, cut where the record is over 1 MiB."""
    campaign_id = reject.campaign_id
    if campaign_id is not None and campaign_id >= _IDS_END:
        campaign_id = None  # nobody's, and as text it could be megabytes
    return _cut(DeadLetter(reject.reason.value, reject.message, value, at, origin, campaign_id))


def quarantine_letter(key: bytes | None, value: bytes, at: datetime, origin: FromLog) -> DeadLetter:
    """The letter of a record that processes died of: nothing of it is read but the key, which names its campaign."""
    named = int(key) if key is not None and len(key) < 20 and key.isdigit() else None
    campaign_id = named if named is not None and named < _IDS_END else None
    message = "three processes died while they read the record; it is set aside, so that the others are counted"
    return _cut(DeadLetter(LetterCode.QUARANTINED.value, message, value, at, origin, campaign_id))


def _cut(letter: DeadLetter) -> DeadLetter:
    """Without what is over 1 MiB."""
    value = letter.value
    if len(value) <= LARGEST_WHOLE_VALUE_BYTES:
        return letter
    digest = hashlib.sha256(value).hexdigest()
    return replace(letter, value=value[:KEPT_OF_LARGER_BYTES], whole_bytes=len(value), sha256=digest)


def letter_headers(letter: DeadLetter) -> Headers:
    """Everything but the value, as headers of the record in the dead-letter topic."""
    texts: dict[str, str | int | None] = {
        "code": letter.code,
        "message": letter.message,
        "at": letter.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    match letter.origin:
        case FromLog(topic, incarnation, partition, offset):
            texts |= {"source": "kafka", "topic": topic, "incarnation": incarnation}
            texts |= {"partition": partition, "offset": offset}
        case FromRequest(request_id, index, organization_id):
            texts |= {"source": "http", "request_id": request_id, "index": index}
            texts |= {"organization_id": organization_id}
    texts |= {"campaign_id": letter.campaign_id, "length": letter.whole_bytes, "sha256": letter.sha256}
    texts |= {"replay_of": letter.replay_of}
    return tuple((name, str(text).encode("utf-8", "replace")) for name, text in texts.items() if text is not None)


def read_letter(value: bytes, headers: Headers) -> DeadLetter | None:
    """The letter a record of the dead-letter topic holds; None when the record is not one of ours."""
    texts = {name: text.decode("utf-8", "replace") for name, text in headers}
    try:
        return DeadLetter(
            code=texts["code"],
            message=texts["message"],
            value=value,
            at=_instant(texts["at"]),
            origin=_origin(texts),
            campaign_id=_integer(texts, "campaign_id"),
            whole_bytes=_integer(texts, "length"),
            sha256=texts.get("sha256"),
            replay_of=texts.get("replay_of"),
        )
    except (KeyError, ValueError):
        return None


def _origin(texts: dict[str, str]) -> FromLog | FromRequest:
    if texts["source"] == "http":
        return FromRequest(texts["request_id"], int(texts["index"]), _integer(texts, "organization_id"))
    return FromLog(texts["topic"], texts["incarnation"], int(texts["partition"]), int(texts["offset"]))


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at


def _integer(texts: dict[str, str], name: str) -> int | None:
    return int(texts[name]) if name in texts else None
