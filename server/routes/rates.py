"""Stored currency rates."""

from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.rates import Rate
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.services.rates import MAX_RATES
from server.dependencies import Call
from server.operations import Answer, Body, ListOf, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.rates import RateIn, RatePage, RatesStored

router = APIRouter(prefix="/api/v1/currency-rates")

_EXAMPLE = {"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": 1.0834}
_DAY = {"type": "string", "format": "date"}
_CODE = {"type": "string", "minLength": 3, "maxLength": 3}


def _shown(rate: Rate) -> dict[str, object]:
    exact = Decimal(format(rate.rate, "f"))  # 100, not 1E+2
    return {"date": rate.day, "currency": rate.currency, "base": rate.base, "rate": exact}


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listRates",
        tag="rates",
        summary="List stored rates",
        params=(
            Param("currency", "Only rates of this currency.", _CODE),
            Param("base", "Only rates into this currency.", _CODE),
            Param("start_date", "The first day.", _DAY),
            Param("end_date", "The last day, inclusive.", _DAY),
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page, by day, currency and base.",
                {"application/json": RatePage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_rates(call: Call) -> Response:
    errors: list[FieldError] = []
    given = FieldReader(call.ones(), tuple(call.query), errors)
    first, last = given.day("start_date"), given.day("end_date")
    if errors:
        raise InvalidInput(errors)
    page = call.app.rates.list(
        call.actor,
        currency=call.one("currency"),
        base=call.one("base"),
        first=first,
        last=last,
        limit=limit_of(call),
        cursor=call.one("cursor"),
    )
    return answer_page(call, page, _shown)


@serves(
    router,
    Operation(
        "PUT",
        "",
        id="putRates",
        tag="rates",
        summary="Add or replace rates",
        description="A rate replaces the stored one of the same date, currency and base. All are stored, or none.",
        body=Body({"application/json": ListOf(RateIn, most=MAX_RATES)}, example=[_EXAMPLE]),
        answers={200: Answer("They are stored.", {"application/json": RatesStored}, example={"stored": 1})},
    ),
)
def put_rates(call: Call) -> Response:
    return call.answer({"stored": call.app.rates.put(call.json(), call.actor)})
