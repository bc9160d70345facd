"""Currency rates: checking, storing and listing them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from campaignctl.domain.currencies import normalize_currency
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.money import ExactNumber
from campaignctl.domain.rates import Rate
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.metadata import RateFilter, RateRecords
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.tenancy import organization_of

MAX_RATES = 10_000
RATE_MEMBERS = ("date", "currency", "base", "rate")
_PLACES = 18
_INTEGER_DIGITS = 9


class RateService:
    """What an actor may do with the currency rates of the organization."""

    def __init__(self, metadata: RateRecords) -> None:
        self._metadata = metadata
        self._cursors = Cursors("currency-rates", lambda: metadata.installation_secret("cursors"))

    def put(self, values: object, actor: Actor) -> int:
        """Add or replace the rates of a list of plain values (``parse_rates``); answers how many, all or none."""
        actor.require(Role.ANALYST)
        rates = parse_rates(values)
        self._metadata.put_rates(organization_of(actor, self._metadata), rates)
        return len(rates)

    def list(
        self,
        actor: Actor,
        *,
        base: str | None = None,
        currency: str | None = None,
        first: date | None = None,
        last: date | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Rate]:
        """A page of the rates with first <= day <= last, by day, currency and base."""
        checked_limit(limit)
        if first and last and last < first:
            raise InvalidInput.of("end_date", "must not lie before start_date")
        organization_id = organization_of(actor, self._metadata)
        wanted = RateFilter(_code("currency", currency), _code("base", base), first, last)
        filters = {
            "organization": organization_id,
            "currency": wanted.currency,
            "base": wanted.base,
            "first": first,
            "last": last,
        }
        after = None
        if cursor is not None:
            day, after_currency, after_base = map(str, self._cursors.decode(cursor, filters))
            after = (date.fromisoformat(day), after_currency, after_base)
        found = self._metadata.list_rates(organization_id, wanted, after, limit + 1)
        return self._cursors.page(found, limit, lambda rate: (rate.day.isoformat(), rate.currency, rate.base), filters)


def parse_rates(values: object) -> list[Rate]:
    """The rates that a list of objects describes, each with ``RATE_MEMBERS``; the later of two for one day counts.

    Raises ``InvalidInput`` that names every wrong or unknown member (``3.rate``).
    """
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise InvalidInput.of("body", f"must be a list of objects with {', '.join(RATE_MEMBERS)}")
    if len(values) > MAX_RATES:
        raise InvalidInput.of("body", f"must have at most {MAX_RATES} entries; send the rest in a second request")
    errors: list[FieldError] = []
    rates = [_rate(value, errors, prefix=f"{index}.") for index, value in enumerate(values)]
    if errors:
        raise InvalidInput(errors)
    return rates


def _rate(value: object, errors: list[FieldError], *, prefix: str) -> Rate:
    fields = FieldReader(value, RATE_MEMBERS, errors, prefix=prefix)
    fields.required("date")
    fields.required("rate")
    currency, base = fields.currency("currency"), fields.currency("base")
    if currency and currency == base:
        fields.fail("base", "must be another currency than currency")
    number = fields.number("rate", places=_PLACES, integer_digits=_INTEGER_DIGITS)
    if number is not None and (number.negative or not number.digits):
        fields.fail("rate", "must be greater than 0")
    return Rate(fields.day("date") or date.min, currency, base, _decimal(number))


def _decimal(number: ExactNumber | None) -> Decimal:
    """Exact, without superfluous zeros, whatever the decimal context."""
    return Decimal(1) if number is None else Decimal(f"{number.digits or 0}E{number.exponent}")


def _code(field: str, text: str | None) -> str | None:
    if text is None:
        return None
    code = normalize_currency(text)
    if code is None:
        raise InvalidInput.of(field, "must be a currency code of ISO 4217 such as USD")
    return code
