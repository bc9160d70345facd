"""Records that were refused."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from campaignctl.domain.dead_letters import LetterCode
from server.schemas.fields import In

LetterId = Annotated[str, Field(pattern="^[0-9]{1,18}-[0-9]{1,18}$")]


class DeadLetterOut(BaseModel):
    """A record that was refused, with its original bytes: as `value`, or as `value_base64` where they are no UTF-8."""

    id: LetterId
    code: str = Field(description="The reason code.", examples=[LetterCode.INVALID_VALUE])
    message: str
    source: str = Field(pattern="^(kafka|http)$", description="How the record came.")
    value: str | None = Field(description="The original bytes as text; null where they are not valid UTF-8.")
    value_base64: str | None = Field(description="The original bytes in base 64; null where `value` has them.")
    topic: str | None = Field(description="Of a record that came by the log; so are partition and offset.")
    partition: int | None
    offset: int | None
    request_id: str | None = Field(description="Of a record that came by HTTP; so is index.")
    index: int | None = Field(description="The record's place in the request.")
    campaign_id: int | None = Field(description="The campaign it named, where that could be read.")
    length: int | None = Field(description="Bytes of the record, where only its beginning is kept; else null.")
    sha256: str | None = Field(description="Of the whole record, where only its beginning is kept; else null.")
    at: datetime = Field(description="When it was refused.")
    replay_of: str | None = Field(description="The id of the letter whose record this is, produced again.")
    replayed_at: datetime | None = Field(description="When it was last produced again; null when it never was.")


class DeadLetterPage(BaseModel):
    items: list[DeadLetterOut]
    next_cursor: str | None


class ReplayIn(In):
    """Which letters: `ids`, or the filters of the listing (none of them means all letters)."""

    ids: list[LetterId] | None = Field(default=None, min_length=1, max_length=1_000)
    reason: LetterCode | None = None
    campaign_id: int | None = Field(default=None, ge=1, lt=2**63)
    since: datetime | None = None
    until: datetime | None = None
    again: bool = Field(default=False, description="Whether letters that were replayed before are replayed too.")
