"""What is true as of a moment, as ``GET /truth`` is asked, and the events of a stretch of days."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from campaignctl.errors import InvalidInput
from campaignctl.sandbox.deliveries import MICROS, World, days_between
from campaignctl.sandbox.natives import CAMPAIGN, GROUP, Native, natives
from campaignctl.sandbox.platforms.rows import amount, count
from campaignctl.sandbox.reported import Figures, Reported, by_region
from campaignctl.sandbox.stream import delivered, encode, event_of
from campaignctl.sandbox.truth import METRICS, Truth
from campaignctl.sandbox.world import CAMPAIGNS

_DEFAULT_DAYS = 30
_MOST_DAYS = 1_200
_NAMES = ("at", "campaign", "platform", "account_id", "native_id", "start_date", "end_date", "breakdown", "source")
_BREAKDOWNS = ("total", "country")
_SOURCES = ("report", "stream")


@dataclass(frozen=True, slots=True)
class TruthQuestion:
    """Which rows are asked for; both days are inclusive."""

    at: datetime
    first: date
    last: date
    campaign: int | None
    platform: str
    account_id: str
    native_id: str
    breakdown: str
    source: str

    @classmethod
    def of(cls, params: Mapping[str, str], now: datetime) -> "TruthQuestion":
        """Raises ``InvalidInput`` that names the parameter."""
        for name in params:
            if name not in _NAMES:
                raise InvalidInput.of(name, f"is not known here; known are {', '.join(_NAMES)}")
        at = moment("at", params["at"]) if "at" in params else now
        first, last = _days(params, at.date())
        return cls(
            at=at,
            first=first,
            last=last,
            campaign=_number(params.get("campaign", "")),
            platform=params.get("platform", ""),
            account_id=params.get("account_id", ""),
            native_id=params.get("native_id", ""),
            breakdown=_word(params, "breakdown", _BREAKDOWNS),
            source=_word(params, "source", _SOURCES),
        )

    def answer(self, reported: Reported) -> dict[str, object]:
        rows = self._streamed(reported.world) if self.source == "stream" else self._reported(reported)
        head = {"at": self.at.isoformat(), "source": self.source, "breakdown": self.breakdown}
        return {**head, "rows": list(rows)}

    def _reported(self, reported: Reported) -> Iterator[dict[str, object]]:
        """What the platforms say: days of their accounts, money in their accounts' currencies."""
        for native in natives():
            if not self._is_asked(native):
                continue
            for day in days_between(self.first, self.last):
                if self.breakdown == "country":
                    rows = by_region(reported.countries(native, day, self.at))
                    yield from (_row(native, day, region, figures) for region, figures in sorted(rows.items()))
                elif (total := reported.total(native, day, self.at)) is not None:
                    yield _row(native, day, None, total)

    def _is_asked(self, native: Native) -> bool:
        return (
            (self.campaign is None or self.campaign == _claimed(native))
            and self.platform in ("", native.account.platform)
            and self.account_id in ("", native.account.account_id)
            and self.native_id in ("", native.native_id)
        )

    def _streamed(self, world: World) -> Iterator[dict[str, object]]:
        """What events say: days of the campaigns' zones, money as it was streamed."""
        truth = Truth(())
        margin = timedelta(days=1)
        first = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC) - margin
        for one in delivered(world, first, min(self.at, first + (self.last - self.first) + 3 * margin)):
            truth.add(one.campaign, one.at, event_of(one))
        for (number, day, platform, region, currency), sums in sorted(truth.cells.items()):
            asked = self.campaign in (None, number) and self.platform in ("", platform)
            if asked and self.first <= day <= self.last:
                told = {name: _plain(sums[name]) for name in METRICS}
                where = {"campaign": number, "platform": platform, "day": day.isoformat(), "region": region}
                yield {**where, **told, "currency": currency}


def events(world: World, params: Mapping[str, str], now: datetime) -> Iterator[bytes]:
    """NDJSON: the event of every delivery of the days (of UTC) until now, each once.

    ``ids=1:17,2:18`` says which numbers the campaigns have got in the product.
    """
    for name in params:
        if name not in ("start_date", "end_date", "campaign", "ids"):
            raise InvalidInput.of(name, "is not known here; known are start_date, end_date, campaign, ids")
    first, last = _days(params, now.date())
    wanted, numbers = _number(params.get("campaign", "")), _numbers(params.get("ids", ""))
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = min(
        now, datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1) - timedelta(microseconds=1)
    )

    def lines() -> Iterator[bytes]:
        for one in delivered(world, begin, end):
            if wanted not in (None, one.campaign.number):
                continue
            event = event_of(one)
            event["campaign_id"] = numbers.get(one.campaign.number, one.campaign.number)
            yield encode(event) + b"\n"

    return lines()


def moment(name: str, text: str) -> datetime:
    """RFC 3339, with an offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput.of(name, "must be a time with an offset, such as 2026-11-30T00:00:00Z")
    return at.astimezone(UTC)


def _claimed(native: Native) -> int | None:
    """The product's campaign that is linked to it; None: nobody's."""
    return native.campaign.number if native.campaign in CAMPAIGNS and not native.group_id else None


def _row(native: Native, day: date, region: str | None, figures: Figures) -> dict[str, object]:
    row: dict[str, object] = {
        "campaign": _claimed(native),
        "platform": native.account.platform,
        "account_id": native.account.account_id,
        "level": GROUP if native.level == GROUP else CAMPAIGN,
        "native_id": native.native_id,
        "day": day.isoformat(),
    }
    if region is not None:
        row["region"] = region
    return row | {
        "impressions": figures.impressions,
        "clicks": figures.clicks,
        "conversions": count(figures.conversions_millionths),
        "spend": amount(figures.spend_micros),
        "revenue": None if figures.revenue_micros is None else amount(figures.revenue_micros),
        "currency": native.account.currency,
    }


def _plain(value: Decimal) -> int | str:
    return (
        int(value) if value == value.to_integral_value() and abs(value) < MICROS * MICROS else f"{value.normalize():f}"
    )


def _days(params: Mapping[str, str], today: date) -> tuple[date, date]:
    last = _day("end_date", params.get("end_date", ""), today)
    first = _day("start_date", params.get("start_date", ""), last - timedelta(days=_DEFAULT_DAYS - 1))
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise InvalidInput.of("end_date", f"must be start_date or later, and {_MOST_DAYS:,} days at most")
    return first, last


def _day(name: str, text: str, default: date) -> date:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise InvalidInput.of(name, "must be a day, such as 2026-11-30") from None


def _number(text: str) -> int | None:
    if text and not text.isdecimal():
        raise InvalidInput.of("campaign", "must be a number")
    return int(text) if text else None


def _numbers(text: str) -> dict[int, int]:
    pairs = [pair.split(":") for pair in text.split(",") if pair]
    if not all(len(pair) == 2 and all(one.isdecimal() for one in pair) for pair in pairs):
        raise InvalidInput.of("ids", "must be pairs such as 1:17,2:18")
    return {int(known): int(number) for known, number in pairs}


def _word(params: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    word = params.get(name, known[0])
    if word not in known:
        raise InvalidInput.of(name, f"must be one of {', '.join(known)}")
    return word
