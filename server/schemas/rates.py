"""Stored currency rates."""

from datetime import date

from pydantic import BaseModel, Field

from server.schemas.fields import Amount, AmountIn, In


class RateIn(In):
    date: date
    currency: str
    base: str
    rate: AmountIn = Field(description="1 `currency` = `rate` `base`.")


class RateOut(BaseModel):
    date: date
    currency: str
    base: str
    rate: Amount


class RatePage(BaseModel):
    items: list[RateOut]
    next_cursor: str | None


class RatesStored(BaseModel):
    stored: int = Field(description="How many rates the request held.")
