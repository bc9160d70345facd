"""Currency rates."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from campaignctl.adapters.metadata.database import Row, Tables
from campaignctl.domain.rates import Rate
from campaignctl.errors import NotFound
from campaignctl.ports.metadata import RateFilter


class RateTables(Tables):
    def put_rates(self, organization_id: int, rates: Sequence[Rate], /) -> None:
        with self._database.writing() as tx:
            if not tx.run("raise_rates_version", organization_id=organization_id):
                raise NotFound(f"there is no organization {organization_id}")
            for rate in rates:
                tx.run(
                    "put_rate",
                    organization_id=organization_id,
                    base=rate.base,
                    currency=rate.currency,
                    day=rate.day.isoformat(),
                    rate=f"{rate.rate:f}",
                )

    def rates_between(self, organization_id: int, base: str, first: date, last: date, /) -> tuple[int, list[Rate]]:
        with self._database.reading() as tx:
            version = tx.one("fetch_rates_version", organization_id=organization_id)
            rows = tx.all(
                "fetch_rates",
                organization_id=organization_id,
                base=base,
                first_day=first.isoformat(),
                last_day=last.isoformat(),
            )
        return (0 if version is None else version["rates_version"]), list(map(_rate, rows))

    def list_rates(
        self, organization_id: int, wanted: RateFilter, after: tuple[date, str, str] | None, limit: int, /
    ) -> list[Rate]:
        after_day, after_currency, after_base = after or (date.min, "", "")
        with self._database.reading() as tx:
            rows = tx.all(
                "list_rates",
                organization_id=organization_id,
                currency=wanted.currency,
                base=wanted.base,
                first_day=(wanted.first or date.min).isoformat(),
                last_day=(wanted.last or date.max).isoformat(),
                after_day=after_day.isoformat(),
                after_currency=after_currency,
                after_base=after_base,
                limit=limit,
            )
        return list(map(_rate, rows))


def _rate(row: Row) -> Rate:
    return Rate(date.fromisoformat(row["day"]), row["currency"], row["base"], Decimal(row["rate"]))
