"""What a fetch is asked for: which platforms of a campaign, or which account, and which days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from campaignctl.domain.fields import FieldReader, did_you_mean
from campaignctl.domain.platforms import Platform
from campaignctl.errors import FieldError, InvalidInput

FETCH_MEMBERS = ("platforms", "start_date", "end_date")
MOST_DAYS = 5 * 366


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Of a campaign; None leaves each platform its own look-back window."""

    platforms: tuple[Platform, ...]
    """Empty: every platform the campaign lists."""
    first: date | None
    last: date | None
    """Both inclusive, days of each account."""


def fetch_request(body: object) -> FetchRequest:
    """The request in a body (None is an empty one); ``InvalidInput`` names what is wrong."""
    errors: list[FieldError] = []
    fields = FieldReader({} if body is None else body, FETCH_MEMBERS, errors)
    platforms = _platforms(fields)
    first, last = fields.day("start_date"), fields.day("end_date")
    if first and last and last < first:
        fields.fail("end_date", "must not lie before start_date")
    elif first and last and (last - first).days >= MOST_DAYS:
        fields.fail("start_date", f"and end_date may span {MOST_DAYS} days at most")
    if errors:
        raise InvalidInput(errors)
    return FetchRequest(platforms, first, last)


def _platforms(fields: FieldReader) -> tuple[Platform, ...]:
    if not fields.given("platforms"):
        return ()
    value, known = fields.value("platforms"), [platform.value for platform in Platform]
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        fields.fail("platforms", f"must be an array with one or more of {', '.join(known)}")
        return ()
    for one in value:
        if one.lower() not in known:
            fields.fail("platforms", f"may hold {', '.join(known)} only{did_you_mean(one, known)}")
            return ()
    return tuple(dict.fromkeys(Platform(one.lower()) for one in value))


def days_asked(first: date | None, last: date | None, today: date, lookback_days: int) -> tuple[date, date]:
    """The days of one account: the look-back window that ends today where none are named.

    One given alone: up to today, or as many days before the end as the window has.
    """
    end = min(last or today, today) if first is None or last is None else last
    start = first or end - timedelta(days=lookback_days)
    return start, max(end, start)


def job_params(request: FetchRequest) -> dict[str, object]:
    """As the job shows what was asked."""
    return {
        "platforms": [platform.value for platform in request.platforms],
        "start_date": request.first and request.first.isoformat(),
        "end_date": request.last and request.last.isoformat(),
    }


def request_of(params: Mapping[str, object]) -> FetchRequest:
    """What ``job_params`` wrote."""
    platforms = params.get("platforms") or ()
    listed = platforms if isinstance(platforms, Sequence) and not isinstance(platforms, str) else ()
    return FetchRequest(
        tuple(Platform(str(one)) for one in listed), _day(params.get("start_date")), _day(params.get("end_date"))
    )


def _day(value: object) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else None
