"""Sums of events for insights."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import question_failures
from campaignctl.adapters.analytics.native import Labels, Table
from campaignctl.adapters.sql_files import load_statements
from campaignctl.domain.insight_sums import LIMB_BITS, Keys, StoredSums, WideSums
from campaignctl.domain.insights import Dimension, Metric
from campaignctl.domain.periods import Timeline, day_number
from campaignctl.domain.platforms import Platform
from campaignctl.domain.regions import country_of, is_subdivision
from campaignctl.ports.analytics import SumsQuestion

I64 = NDArray[np.int64]

_SQL = load_statements("clickhouse", "queries", "insights.sql")
_NO_DAY, _NO_INSTANT = -(2**31), -(2**63)
_EMPTY = Table(b"")
_MANY_CAMPAIGNS = 100
"""The days of so many are rows enough for several threads."""


class EventSums:
    """An ``InsightStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def sums_by_day(self, question: SumsQuestion, bucket_starts: Sequence[date], end: date, /) -> StoredSums:
        if not set(question.group_by) <= {Dimension.PLATFORM, Dimension.REGION, Dimension.CAMPAIGN}:
            raise ValueError("the rollup knows campaigns, platforms and regions only")
        if question.as_of_us is not None:
            raise ValueError("the rollup knows nothing of earlier times")
        edges = [day_number(start) for start in bucket_starts]
        days = day_number(end) - edges[0]
        parameters = {
            **question_parameters(question),
            "bucket_edges": edges,
            "no_day": _NO_DAY,
            "first_day": bucket_starts[0],
            "last_day": end - timedelta(days=1),
            "left_out": [(campaign, platform, edges[0] + day) for campaign, platform, day in question.left_out],
        }
        asked = _conditions(question)
        if len(edges) == days:
            asked.add("each_day")
        elif len(edges) > 1:
            asked.add("several_days")
        is_wide = len(question.campaign_ids) >= _MANY_CAMPAIGNS
        table = _read(self._clients, "sums_of_rollup", parameters, asked, is_wide=is_wide)
        at = table.integers("bucket")
        bucket = np.searchsorted(edges, at) if len(edges) > 1 else np.zeros(table.rows, np.int64)
        day = (at if "each_day" in asked else table.integers("money_day")) - edges[0]
        return _stored_sums(question, table, bucket, day)

    def sums_by_time(self, question: SumsQuestion, buckets: Timeline, days: Timeline, /) -> StoredSums:
        nothing = np.zeros(0, np.int64)
        if not buckets.owners:
            return _stored_sums(question, _EMPTY, nothing, nothing)
        parameters = {
            **question_parameters(question),
            "bucket_edges": list(buckets.edges_us[:-1]),
            "day_edges": list(days.edges_us[:-1]),
            "no_day": _NO_INSTANT,
            "from_us": buckets.edges_us[0],
            "until_us": buckets.edges_us[-1],
            "as_of_ms": (question.as_of_us or 0) // 1_000,
            "left_out": _left_out(question, days),
        }
        asked = _conditions(question)
        if question.as_of_us is not None:
            asked.add("as_of")
        if buckets.edges_us == days.edges_us:
            asked.add("each_day")
        table = _read(self._clients, "sums_of_events", parameters, asked)
        at = table.integers("bucket")
        day = _owners_at(days, at if "each_day" in asked else table.integers("money_day"))
        return _stored_sums(question, table, _owners_at(buckets, at), day)

    def newest_events(self, campaign_ids: Sequence[int], as_of_us: int | None = None, /) -> Mapping[str, int]:
        parameters: dict[str, object] = {"campaigns": list(campaign_ids)}
        if as_of_us is None:
            table = _read(self._clients, "newest_events", parameters)
        else:
            table = _read(self._clients, "newest_events_then", parameters | {"as_of_ms": as_of_us // 1_000})
        return dict(zip(table.strings("platform"), table.integers("newest_us").tolist(), strict=True))


def _read(
    clients: Clients,
    statement: str,
    parameters: Mapping[str, object],
    asked: Collection[str] = (),
    *,
    is_wide: bool = False,
) -> Table:
    with question_failures():
        settings = clients.wide if is_wide else None
        return clients.read(_SQL[statement], parameters, asked=asked, settings=settings)


def question_parameters(question: SumsQuestion) -> dict[str, object]:
    """What the statements about a question's events share."""
    return {
        "campaigns": list(question.campaign_ids),
        "platforms": list(question.platforms or map(str, Platform)),
        "any_region": not question.regions,
        "regions": [region for region in question.regions if is_subdivision(region)],
        "countries": [country_of(region) for region in question.regions if not is_subdivision(region)],
        "base": question.base_currency,
        "all_cells": not question.left_out,
        **{f"by_{dimension}": dimension in question.group_by for dimension in Dimension},
    }


def _conditions(question: SumsQuestion) -> set[str]:
    """Which conditional lines of the statements belong to the question."""
    given = {
        "some_platforms": question.platforms,
        "some_regions": question.regions,
        "left_out": question.left_out,
    }
    return {f"by_{dimension}" for dimension in question.group_by} | {name for name, value in given.items() if value}


def _left_out(question: SumsQuestion, days: Timeline) -> list[tuple[int, str, int]]:
    """With the edges at which the days' stretches begin: a day that is cut in two has two."""
    if not question.left_out:
        return []
    edges: dict[int, list[int]] = {}
    for edge, day in zip(days.edges_us, days.owners, strict=False):
        edges.setdefault(day, []).append(edge)
    return [(campaign, platform, at) for campaign, platform, day in question.left_out for at in edges.get(day, ())]


def _owners_at(timeline: Timeline, edges: I64) -> I64:
    """Whose stretch begins at each edge."""
    places = np.searchsorted(np.array(timeline.edges_us[:-1], np.int64), edges)
    return np.array(timeline.owners, np.int64)[np.minimum(places, len(timeline.owners) - 1)]


def _stored_sums(question: SumsQuestion, table: Table, bucket: I64, day: I64) -> StoredSums:
    """The table's rows, without those in stretches of time that belong to no bucket.

    ``day`` is the number of each row's day; what is in the asked currency has none.
    """
    owned = np.flatnonzero(bucket >= 0)
    currency = table.labels("currency")
    is_base = np.array([name == question.base_currency for name in currency.names], np.bool_)
    money_day = np.where(is_base[currency.codes], -1, day)
    return StoredSums(
        bucket=bucket[owned],
        groups=tuple(_group_keys(table, dimension, owned) for dimension in question.group_by),
        currency=sorted_keys(currency, owned),
        money_day=money_day[owned],
        metrics={metric: wide_sums(table, metric, owned) for metric in Metric},
    )


def _group_keys(table: Table, dimension: Dimension, rows: I64) -> Keys:
    if dimension is Dimension.CAMPAIGN:
        ids, codes = np.unique(table.integers("campaign")[rows], return_inverse=True)
        return Keys(codes, tuple(ids.tolist()))
    return sorted_keys(table.labels(f"{dimension}_label"), rows)


def sorted_keys(labels: Labels, rows: I64) -> Keys:
    """Renumbered in the order of the labels' code points."""
    ascending = sorted(range(len(labels.names)), key=labels.names.__getitem__)
    ranks = np.empty(len(ascending), np.int64)
    ranks[ascending] = np.arange(len(ascending))
    return Keys(ranks[labels.codes[rows]], tuple(labels.names[n] for n in ascending))


def wide_sums(table: Table, metric: Metric, rows: I64) -> WideSums:
    """The true sums, from sums that may have wrapped and the sums of the values' multiples of 2^28.

    What is left without those multiples is smaller than 2^28 for each event, so it is right although the
    subtraction wraps as well, for up to 2^35 events.
    """
    wrapped, high = table.integers(f"{metric}_sum")[rows], table.integers(f"{metric}_highs")[rows]
    rest = wrapped - (high << LIMB_BITS)
    carry = rest >> LIMB_BITS
    return WideSums(high + carry, rest - (carry << LIMB_BITS))
