"""Native campaigns that no campaign claims: their figures stay visible beside what is claimed.

Mapped and unmapped add up to the account's total on every day, in the account's currency.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import EPOCH, DayRange
from campaignctl.domain.timezones import known_timezones
from campaignctl.ports.metadata import ClaimedNative, ClaimStore
from campaignctl.ports.reports import AccountKey, NativeCampaign, ReportStore

_DAY = timedelta(days=1)


def _nothing() -> dict[Metric, int]:
    return dict.fromkeys(Metric, 0)


@dataclass(slots=True)
class UnmappedNative:
    """A native campaign on the days on which nobody claims it."""

    native: NativeCampaign
    currency: str
    first_day: date
    last_day: date
    """Of those with a row."""
    figures: dict[Metric, int] = field(default_factory=_nothing)
    """Conversions and money in millionths."""


@dataclass(slots=True)
class AccountDay:
    day: date
    currency: str
    mapped: dict[Metric, int] = field(default_factory=_nothing)
    unmapped: dict[Metric, int] = field(default_factory=_nothing)

    @property
    def total(self) -> dict[Metric, int]:
        return {metric: self.mapped[metric] + self.unmapped[metric] for metric in Metric}


@dataclass(frozen=True, slots=True)
class Unmapped:
    account: AccountKey
    days: DayRange
    level: LinkLevel
    """What is counted: campaigns, or campaign groups where all claims of the account are claims of groups."""
    mixed_levels: bool
    """Whether claims of both levels exist: campaigns inside a claimed group then show as unmapped."""
    natives: Sequence[UnmappedNative]
    """By spend, the most first."""
    by_day: Sequence[AccountDay]


@dataclass(frozen=True, slots=True)
class _Row:
    native: NativeCampaign
    day: date
    currency: str
    figures: dict[Metric, int]
    claimed: bool


class UnmappedService:
    def __init__(self, store: ReportStore, metadata: ClaimStore) -> None:
        self._store = store
        self._metadata = metadata

    def of(self, account: AccountKey, days: DayRange) -> Unmapped:
        """Of an account that the asker may see. Raises ``Unavailable``."""
        claims = self._metadata.claims_of_account(account)
        level = _level(claims)
        natives: dict[tuple[NativeCampaign, str], UnmappedNative] = {}
        by_day: dict[tuple[date, str], AccountDay] = {}
        for row in _rows(self._store, account, level, claims, days.first, days.last):
            of_day = by_day.setdefault((row.day, row.currency), AccountDay(row.day, row.currency))
            _add(of_day.mapped if row.claimed else of_day.unmapped, row.figures)
            if not row.claimed:
                key = (row.native, row.currency)
                one = natives.setdefault(key, UnmappedNative(row.native, row.currency, row.day, row.day))
                one.first_day, one.last_day = min(one.first_day, row.day), max(one.last_day, row.day)
                _add(one.figures, row.figures)
        return Unmapped(
            account,
            days,
            level,
            mixed_levels=len({claim.level for claim in claims}) > 1,
            natives=sorted(natives.values(), key=lambda one: (-one.figures[Metric.SPEND], one.native, one.currency)),
            by_day=[by_day[key] for key in sorted(by_day)],
        )


def asked_days(parameters: Mapping[str, Sequence[str]], zone: str, now: datetime) -> DayRange:
    """The days of a question about an account, ``start_date`` to ``end_date``: by default the 30 that end today.

    ``zone`` is the account's, empty where the platform has not told it. Raises ``InvalidInput``.
    """
    own = {"timezone": [zone]} if zone in known_timezones() else {}
    return parse_query({**parameters, **own}, campaign_ids=(), several=False, facts=(), now=now).days


def unmapped_days(
    store: ReportStore, metadata: ClaimStore, account: AccountKey, first: date, last: date
) -> Iterator[date]:
    """The (inclusive) days on which an unclaimed native campaign of the account has a figure other than 0."""
    claims = metadata.claims_of_account(account)
    for row in _rows(store, account, _level(claims), claims, first, last):
        if not row.claimed and any(row.figures.values()):
            yield row.day


def _level(claims: Sequence[ClaimedNative]) -> LinkLevel:
    levels = {claim.level for claim in claims}
    return LinkLevel.CAMPAIGN_GROUP if levels == {LinkLevel.CAMPAIGN_GROUP} else LinkLevel.CAMPAIGN


def _rows(
    store: ReportStore,
    account: AccountKey,
    level: LinkLevel,
    claims: Sequence[ClaimedNative],
    first: date,
    last: date,
) -> Iterator[_Row]:
    """The standing totals of all native campaigns of the account at the level."""
    natives = [one for one in store.natives_between(account, first, last) if one.level == level]
    stood = store.report_days(natives, first, last, None, by_country=False)
    spans: dict[str, list[ClaimedNative]] = {}
    for claim in claims:
        if claim.level == level:
            spans.setdefault(claim.native_id, []).append(claim)
    columns = {metric: stood.metrics[metric].values.tolist() for metric in Metric}
    places, days, codes = stood.native.tolist(), stood.day.tolist(), stood.currency.codes.tolist()
    for row, (place, number, code) in enumerate(zip(places, days, codes, strict=True)):
        native, day = natives[place], EPOCH + number * _DAY
        yield _Row(
            native,
            day,
            str(stood.currency.names[code]),
            {metric: columns[metric][row] for metric in Metric},
            claimed=any(one.first_day <= day <= one.last_day for one in spans.get(native.native_id, ())),
        )


def _add(sums: dict[Metric, int], figures: dict[Metric, int]) -> None:
    for metric, value in figures.items():
        sums[metric] += value
