"""Where one number comes from: the value as insights give it, and what stands behind it.

The value is computed by the very steps that answer insights, for one day and in total. Beside it stand the same
sums by platform in the currencies they are in, which source stands for each platform and why, the raw records and
the versions of reports, the rates, and the statements that were run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from campaignctl.domain.fields import did_you_mean
from campaignctl.domain.insight_cells import Cells
from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insight_rates import Conversions
from campaignctl.domain.insight_reports import Split, split_of
from campaignctl.domain.insight_rules import expected_final_at, finality_of, rule_of, source_of, why, why_final
from campaignctl.domain.insight_sums import UNKNOWN, StoredSums
from campaignctl.domain.insights import (
    MONEY,
    Dimension,
    InsightQuery,
    InsightRow,
    Metric,
    Ratio,
    RowSource,
    Source,
    Sums,
    Warning_,
)
from campaignctl.domain.metric_facts import MetricName, metric_named, parts_of
from campaignctl.domain.periods import Granularity, day_start, timeline_of_days
from campaignctl.domain.users import Actor
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.analytics import InsightStore, SumsQuestion
from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.ports.evidence import EvidenceStore, RunStatement, StreamedRecords
from campaignctl.ports.reports import ReportStore
from campaignctl.services.explained import Amount, ConversionDefinition, Converted, Explanation, Part, StreamEvidence
from campaignctl.services.insight_answers import InsightAnswers, InsightMetadata, InsightRules, Opened
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_ranges import RangeRead, as_of_us
from campaignctl.services.insight_reports import ReportReader
from campaignctl.services.insight_scope import Scope
from campaignctl.services.reported_evidence import PlatformReport, ReportEvidence
from campaignctl.services.restatements import campaign_scope

PARAMETERS = ("date", "metric", "platform", "region", "timezone", "currency", "source", "as_of")
_TRIES = 3
"""How often everything is read anew while events land in between."""
_DAY = timedelta(days=1)
_BY_DEFINITION = frozenset({Metric.CONVERSIONS, Metric.REVENUE})
_NULL_BY_REPORTS = frozenset({"breakdown_unavailable", "report_incomplete"})

Parameters = Mapping[str, Sequence[str]]


class ExplainedStore(InsightStore, EvidenceStore, ReportStore, Protocol):
    """What the analytics store is asked."""


class ExplanationService:
    """May be used by several threads."""

    def __init__(
        self,
        store: ExplainedStore,
        metadata: InsightMetadata,
        cache: Cache,
        clock: Clock,
        *,
        rules: InsightRules,
        definition_actions: Callable[[str], tuple[str, ...] | None],
    ) -> None:
        """``definition_actions`` tells what a version of a definition of conversions adds up, None where unknown."""
        self._store = store
        self._definition_actions = definition_actions
        self._metadata = metadata
        self._clock = clock
        self._rules = rules
        self._reader = ReportReader(store, metadata, rules.lookback_days)
        self._reports = ReportEvidence(store)
        self._answers = InsightAnswers(store, self._reader, metadata, cache, InsightCursors(b"unused"), rules)

    def of(self, campaign_id: int, parameters: Parameters, actor: Actor) -> Explanation:
        """Of the ``metric`` on the ``date``, in total over what ``platform`` and ``region`` leave.

        ``timezone``, ``currency``, ``source`` and ``as_of`` mean what they mean to insights. Raises ``NotFound`` for a
        campaign that is not there or not the actor's, ``InvalidInput`` or ``Unavailable``.
        """
        scope = campaign_scope(self._metadata, campaign_id, actor)
        metric, query = _asked(parameters, campaign_id, scope, self._clock.now())
        for left in reversed(range(_TRIES)):
            found, settled = self._explained(campaign_id, metric, query, scope)
            if settled or not left:
                break
        return found

    def _explained(
        self, campaign_id: int, metric: MetricName, query: InsightQuery, scope: Scope
    ) -> tuple[Explanation, bool]:
        """The explanation, and whether nothing landed while its pieces were read."""
        opened = self._answers.open(query, scope)
        metrics = parts_of(metric)
        with self._store.run_statements() as statements:
            read = opened.ranges.read(query)
            table = read.table(opened.conversions)
            (row,), _ = table.page(None)
            sums = table.totals
            warnings = sorted(opened.ranges.warnings(query), key=lambda one: one.code)
            streamed = self._streamed(query, scope)
            reports = self._reports.of(
                [one for one in opened.claims if not query.platforms or one.native.platform in query.platforms],
                query,
                scope.facts[campaign_id].timezone,
                by_country=split_of(query) is Split.BY_COUNTRY,
            )
            day = timeline_of_days(query.days, query.zone)
            conflicts = self._store.count_conflicts(campaign_id, day, as_of_us(query))
        by_platform = opened.ranges.read(replace(query, group_by=(Dimension.PLATFORM,)))
        converted = _converted(read.sums, query, metrics, opened.conversions)
        parts = self._parts(campaign_id, metrics, query, scope, opened, by_platform, streamed, reports)
        found = Explanation(
            campaign_id=campaign_id,
            query=query,
            metric=metric,
            sums=sums,
            source=row.source,
            finality=row.finality,
            null_because=tuple(_null_because(metric, sums, read, row, converted, warnings)),
            converted=converted,
            max_rate_age_days=self._rules.max_rate_age_days,
            parts=parts,
            definitions=self._definitions(metrics, parts),
            conflicts=conflicts,
            warnings=tuple(warnings),
            statements=tuple(_each_once(statements)),
        )
        return found, _totals(read.sums) == _totals(by_platform.sums) and _agree(parts)

    def _definitions(self, metrics: Sequence[Metric], parts: Sequence[Part]) -> tuple[ConversionDefinition, ...]:
        if not _BY_DEFINITION & set(metrics):
            return ()
        versions = {
            (row.definition, part.platform)
            for part in parts
            if part.source is RowSource.REPORT
            for native in part.report.natives
            for row in native.rows
            if row.definition
        }
        return tuple(
            ConversionDefinition(version, platform, self._definition_actions(version))
            for version, platform in sorted(versions)
        )

    def _streamed(self, query: InsightQuery, scope: Scope) -> "_Streamed":
        question = SumsQuestion(query.campaign_ids, query.platforms, query.regions, (), query.currency, as_of_us(query))
        records = self._store.streamed_records(question, timeline_of_days(query.days, query.zone))
        from_rollup = scope.fits_rollup(query)
        summed = self._store.summed_events(question, query.days.first) if from_rollup else None
        horizon = query.asked_at - self._rules.retention_days * _DAY
        return _Streamed(records, summed, expired=day_start(query.days.first, query.zone) < horizon)

    def _parts(
        self,
        campaign_id: int,
        metrics: Sequence[Metric],
        query: InsightQuery,
        scope: Scope,
        opened: Opened,
        read: RangeRead,
        streamed: "_Streamed",
        reports: Mapping[str, PlatformReport],
    ) -> tuple[Part, ...]:
        by_country = split_of(query) is Split.BY_COUNTRY
        cells = self._reader.read(opened.claims, scope, query, query.days, by_country=by_country).cells
        known = set(query.platforms) or (
            scope.linked_platforms | streamed.platforms | {str(name) for name in _names(read.sums)}
        )

        def part(platform: str) -> Part:
            cell: Cells | None = cells.get((campaign_id, platform))
            open_ = (campaign_id, platform, 0) in read.open_days
            rule = rule_of(query, cell, 0, streamed=open_)
            return Part(
                platform=platform,
                rule=rule,
                source=source_of(rule, query.source),
                why=why(rule, query, platform, cell, 0),
                amounts=_amounts(read.sums, platform, metrics, query.currency),
                finality=finality_of(query, cell, 0),
                why_final=why_final(query, platform, cell, 0, self._rules.lookback_days),
                expected_final_at=expected_final_at(cell, 0),
                stream=streamed.of(platform, metrics),
                report=reports.get(platform, PlatformReport((), 0)),
            )

        return tuple(part(platform) for platform in sorted(known))


@dataclass(frozen=True, slots=True)
class _Streamed:
    """The raw records of the day, and how many events the sums by day hold."""

    records: Sequence[StreamedRecords]
    summed: Mapping[str, int] | None
    expired: bool

    @property
    def platforms(self) -> set[str]:
        return {one.platform for one in self.records} | set(self.summed or ())

    def of(self, platform: str, metrics: Sequence[Metric]) -> StreamEvidence:
        own = [one for one in self.records if one.platform == platform]
        sums: dict[tuple[Metric, str], int] = {}
        for metric in metrics:
            for one in own:
                key = (metric, one.currency if metric in MONEY else "")
                sums[key] = sums.get(key, 0) + one.figures[metric]
        return StreamEvidence(
            events=sum(one.events for one in own),
            summed_events=None if self.summed is None else self.summed.get(platform, 0),
            expired=self.expired,
            amounts=tuple(Amount(metric, currency, value) for (metric, currency), value in sums.items()),
            records=tuple(own),
        )


def _asked(parameters: Parameters, campaign_id: int, scope: Scope, now: datetime) -> tuple[MetricName, InsightQuery]:
    errors: list[FieldError] = []
    texts = {name: parameters.get(name, ()) for name in ("date", "metric")}
    for name, values in texts.items():
        if len(values) != 1:
            errors.append(FieldError(name, "is given more than once" if values else _NEEDED[name]))
    known = [*Metric, *Ratio]
    metric = metric_named(texts["metric"][0]) if texts["metric"] else None
    if metric is None and len(texts["metric"]) == 1:
        text = texts["metric"][0]
        errors.append(FieldError("metric", f"must be one of {', '.join(known)}{did_you_mean(text, list(known))}"))
    day = list(texts["date"][:1]) or [now.date().isoformat()]
    question = {name: values for name, values in parameters.items() if name in PARAMETERS and name not in texts}
    query = None
    try:
        query = parse_query(
            {**question, "start_date": day, "end_date": day, "granularity": [Granularity.TOTAL]},
            campaign_ids=[campaign_id],
            several=False,
            facts=list(scope.facts.values()),
            now=now,
        )
    except InvalidInput as error:
        named = [replace(one, field="date") if one.field in _DATES else one for one in error.errors]
        errors += list(dict.fromkeys(named))
    if errors or metric is None or query is None:
        raise InvalidInput(errors)
    return metric, query


_DATES = frozenset({"start_date", "end_date"})
_NEEDED = {
    "date": "is needed: the day, such as 2026-10-31",
    "metric": f"is needed: one of {', '.join((*Metric, *Ratio))}",
}


def _names(sums: StoredSums) -> list[object]:
    """The platforms of rows grouped by platform."""
    (keys,) = sums.groups
    return [keys.names[code] for code in np.unique(keys.codes).tolist()]


def _amounts(sums: StoredSums, platform: str, metrics: Sequence[Metric], base: str) -> tuple[Amount, ...]:
    """What rows grouped by platform have of one: by currency, the asked one first."""
    (keys,) = sums.groups
    rows = [row for row, code in enumerate(keys.codes.tolist()) if keys.names[code] == platform]
    unknown = any(int(mark) & UNKNOWN for mark in sums.all_marks()[rows].tolist())
    found: dict[tuple[Metric, str], int] = {}
    for metric in metrics:
        found[metric, base if metric in MONEY else ""] = 0
        for row in rows:
            currency = str(sums.currency.names[sums.currency.codes[row]]) if metric in MONEY else ""
            found[metric, currency] = found.get((metric, currency), 0) + sums.metrics[metric].at(row)
    kept = {key: value for key, value in found.items() if value or key[1] in ("", base)}
    if unknown:
        return tuple(Amount(metric, currency, None) for metric, currency in kept)
    foreign = {metric for (metric, currency) in kept if currency not in ("", base)}
    return tuple(
        Amount(metric, currency, value)
        for (metric, currency), value in kept.items()
        if value or metric not in foreign or currency != base
    )


def _converted(
    sums: StoredSums, query: InsightQuery, metrics: Sequence[Metric], made: Conversions
) -> tuple[Converted, ...]:
    """The steps of the conversion, made again as the answer makes them."""
    again, day = Conversions(lambda: made.table), query.days.first
    amounts: dict[tuple[Metric, str], int] = {}
    for row in np.flatnonzero(sums.money_day >= 0).tolist():
        currency = str(sums.currency.names[sums.currency.codes[row]])
        for metric in metrics:
            if metric in MONEY:
                amounts[metric, currency] = amounts.get((metric, currency), 0) + sums.metrics[metric].at(row)
    return tuple(
        Converted(metric, currency, amount, made.table.found(currency, day), again.convert(amount, currency, day))
        for (metric, currency), amount in sorted(amounts.items())
        if amount
    )


def _null_because(
    metric: MetricName,
    sums: Sums,
    read: RangeRead,
    row: InsightRow,
    converted: Sequence[Converted],
    warnings: Sequence[Warning_],
) -> list[Warning_]:
    lacking = [one for one in parts_of(metric) if sums.metric(one) is None]
    if lacking:
        unknown = read.limits.no_totals or bool(np.any(read.sums.all_marks() & UNKNOWN))
        reports = _NULL_BY_REPORTS if read.query.source is Source.REPORT else frozenset({"raw_expired"})
        codes = set(reports) if unknown else set()
        if any(one.value is None for one in converted):
            codes.add("missing_rate")
        return [one for one in warnings if one.code in codes]
    if isinstance(metric, Ratio) and sums.ratio(metric) is None:
        _, divisor = metric.parts
        return [Warning_("divisor_not_positive", f"The divisor, {divisor}, is not above 0.")]
    return []


def _each_once(statements: Sequence[RunStatement]) -> list[RunStatement]:
    found: list[RunStatement] = []
    for one in statements:
        if one not in found:
            found.append(one)
    return found


def _totals(sums: StoredSums) -> dict[tuple[Metric, str], int]:
    """Everything by metric and currency, whatever it is grouped by."""
    found: dict[tuple[Metric, str], int] = {}
    for metric, column in sums.metrics.items():
        for code, value in zip(sums.currency.codes.tolist(), column.all(), strict=True):
            key = (metric, str(sums.currency.names[code]))
            found[key] = found.get(key, 0) + value
    return {key: value for key, value in found.items() if value}


def _agree(parts: Sequence[Part]) -> bool:
    """Whether the records are those of which the sums were made, as far as the stream stands."""
    return all(
        part.stream.expired
        or part.source is not RowSource.STREAM
        or _nonzero(part.amounts) == _nonzero(part.stream.amounts)
        for part in parts
    )


def _nonzero(amounts: Sequence[Amount]) -> set[Amount]:
    return {one for one in amounts if one.value}
