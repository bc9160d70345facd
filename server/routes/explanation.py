"""Where one number of a campaign comes from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.insight_rules import Rule
from campaignctl.domain.insights import MONEY, Metric, Ratio, Source
from campaignctl.domain.metric_facts import MetricName, facts_of, parts_of
from campaignctl.domain.money import micros_to_decimal
from campaignctl.domain.platforms import Platform
from campaignctl.ports.evidence import StreamedRecords
from campaignctl.services.explained import Amount, Converted, Explanation, Part, StreamEvidence
from campaignctl.services.reported_evidence import NativeReport, StandingRow, TotalVersion
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.reports import number
from server.schemas.explanation import ExplanationOut

router = APIRouter(prefix="/api/v1/campaigns")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = {"type": "string"}
_METRICS = (*Metric, *Ratio)


@serves(
    router,
    Operation(
        "GET",
        "/{campaign_id}/explain",
        id="explainNumber",
        tag="insights",
        summary="Where one number comes from",
        description=(
            "The total of one metric on one day, as insights give it, and what stands behind it: per platform which "
            "source stands and by which rule, the events with their places in the log, the native campaigns with every "
            "version of their reports, coverage, finality and why, the rates, the definitions of conversions, and the "
            "statements that were run. What platforms give, converted as `conversions` says, adds up to the value. "
            f"Rules: {', '.join(f'`{rule}`' for rule in Rule)}."
        ),
        params=(
            CAMPAIGN_ID,
            Param("date", "The day.", {"type": "string", "format": "date"}, required=True, example="2026-10-03"),
            Param("metric", "A metric or a ratio.", {"type": "string", "enum": list(_METRICS)}, required=True),
            Param("platform", f"Any of {', '.join(Platform)}, in any case; repeat it or give a comma list.", _WORD,
                  many=True),
            Param("region", "Countries and subdivisions: `US` matches `US-CA` too, `US-CA` only itself.", _WORD,
                  many=True),
            Param("timezone", "An IANA zone (default: the campaign's).", _WORD, example="Asia/Kolkata"),
            Param("currency", "A code of ISO 4217 (default: the campaign's).", _WORD),
            Param("source", "The report where there is one, else the stream; or one alone.",
                  {"type": "string", "enum": list(Source), "default": Source.AUTO}),
            Param("as_of", "What this would have answered then.", {"type": "string", "format": "date-time"}),
        ),
        answers={200: Answer("The number and what it is made of.", {"application/json": ExplanationOut})},
        problems=(404,),
    ),
)  # fmt: skip
def explain(call: Call) -> Response:
    found = call.app.explanation.of(call.id_in_path("campaign_id"), call.query, call.actor)
    return call.answer(_shown(found))


def _shown(found: Explanation) -> dict[str, object]:
    query = found.query
    return {
        "campaign_id": found.campaign_id,
        "date": query.days.first,
        "metric": found.metric,
        "asked": {
            "platforms": query.platforms,
            "regions": query.regions,
            "timezone": query.zone.key,
            "currency": query.currency,
            "source": query.source,
            "as_of": query.as_of,
        },
        "value": _value(found.metric, found.value),
        "source": found.source,
        "finality": found.finality,
        "null_because": [{"code": one.code, "message": one.message} for one in found.null_because],
        "definition": _facts(found.metric),
        "terms": [
            {"metric": metric, "role": role, "value": number(metric, found.sums.metric(metric)), **_facts(metric)}
            for metric, role in zip(parts_of(found.metric), _roles(found.metric), strict=True)
        ],
        "conversions": [_converted(found, one) for one in found.converted],
        "max_rate_age_days": found.max_rate_age_days,
        "platforms": [_part(found, one) for one in found.parts],
        "definitions": [
            {"version": one.version, "platform": one.platform, "actions": one.actions} for one in found.definitions
        ],
        "conflicts": found.conflicts,
        "warnings": [{"code": one.code, "message": one.message} for one in found.warnings],
        "statements": [
            {"file": one.file, "name": one.name, "sql": one.sql, "params": one.parameters} for one in found.statements
        ],
    }


def _value(metric: MetricName, value: int | None) -> int | Decimal | None:
    if isinstance(metric, Metric):
        return number(metric, value)
    return None if value is None else micros_to_decimal(value)


def _roles(metric: MetricName) -> tuple[str, ...]:
    return ("dividend", "divisor") if isinstance(metric, Ratio) else ("value",)


def _facts(metric: MetricName) -> dict[str, object]:
    facts = facts_of(metric)
    return {
        "meaning": facts.meaning,
        "formula": facts.formula,
        "unit": facts.unit,
        "stream": facts.stream,
        "platforms": facts.platforms,
    }


def _converted(found: Explanation, one: Converted) -> dict[str, object]:
    return {
        "metric": one.metric,
        "day": found.query.days.first,
        "currency": one.currency,
        "amount": micros_to_decimal(one.amount),
        "base": found.query.currency,
        "rate": None if one.rate is None else Decimal(format(one.rate.rate, "f")),  # 100, not 1E+2
        "rate_date": None if one.rate is None else one.rate.day,
        "value": None if one.value is None else micros_to_decimal(one.value),
    }


def _part(found: Explanation, part: Part) -> dict[str, object]:
    metrics = parts_of(found.metric)
    return {
        "platform": part.platform,
        "source": part.source,
        "rule": part.rule,
        "why": part.why,
        "amounts": _amounts(part.amounts),
        "finality": part.finality,
        "why_final": part.why_final,
        "expected_final_at": part.expected_final_at,
        "stream": _stream(part.stream),
        "natives": [_native(one, metrics) for one in part.report.natives],
        "natives_left_out": part.report.left_out,
    }


def _stream(stream: StreamEvidence) -> dict[str, object]:
    records = stream.records
    return {
        "events": stream.events,
        "events_in_sums": stream.summed_events,
        "expired": stream.expired,
        "first_event_at": _instant(min((one.first_event_us for one in records), default=None)),
        "last_event_at": _instant(max((one.last_event_us for one in records), default=None)),
        "amounts": _amounts(stream.amounts),
        "log": [_log_range(records) for records in stream.by_partition()],
    }


def _log_range(records: Sequence[StreamedRecords]) -> dict[str, object]:
    return {
        "topic_id": records[0].topic_id,
        "partition": records[0].partition,
        "first_offset": min(one.first_offset for one in records),
        "last_offset": max(one.last_offset for one in records),
        "events": sum(one.events for one in records),
        "last_taken_at": _instant(max(one.last_taken_ms for one in records) * 1_000),
    }


def _native(one: NativeReport, metrics: Sequence[Metric]) -> dict[str, object]:
    return {
        "account_id": one.native.account_id,
        "level": one.native.level,
        "external_id": one.native.native_id,
        "timezone": one.zone,
        "covered_at": _instant(one.covered_us),
        "covered_by_country_at": _instant(one.covered_by_country_us),
        "seen": one.seen,
        "rows": [_row(row, metrics) for row in one.rows],
        "versions": [_version(version, metrics) for version in one.versions],
    }


def _row(row: StandingRow, metrics: Sequence[Metric]) -> dict[str, object]:
    return {
        "region": row.region,
        "currency": row.currency,
        "definition": row.definition or None,
        "fetched_at": _instant(row.fetched_us),
        "amounts": _figures(row.figures, row.currency, metrics),
    }


def _version(version: TotalVersion, metrics: Sequence[Metric]) -> dict[str, object]:
    figures = version.figures
    return {
        "version": version.number,
        "stands": version.stands,
        "fetched_at": _instant(version.fetched_us),
        "landed_at": _instant(version.landed_ms * 1_000),
        "currency": version.currency,
        "definition": version.definition or None,
        "amounts": None if figures is None else _figures(figures, version.currency, metrics),
    }


def _figures(figures: Mapping[Metric, int | None], currency: str, metrics: Sequence[Metric]) -> list[object]:
    return _amounts(Amount(metric, currency if metric in MONEY else "", figures[metric]) for metric in metrics)


def _amounts(amounts: Iterable[Amount]) -> list[object]:
    return [
        {"metric": one.metric, "currency": one.currency or None, "value": number(one.metric, one.value)}
        for one in amounts
    ]


def _instant(epoch_us: int | None) -> datetime | None:
    return None if epoch_us is None else _EPOCH + timedelta(microseconds=epoch_us)
