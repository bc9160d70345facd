"""What the tables of the analytics store hold, in words: ``\\d`` of the query shell and ``docs/query.md`` say it.

Each table and column of the migrations is here, in their order; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableMeaning:
    about: str
    columns: Mapping[str, str]


_CAMPAIGN = "the campaign's number"
_LOG = {
    "ktopic": "which incarnation of the events topic the record is from",
    "kpart": "the record's partition",
    "koff": "the record's offset",
}
_KTIME = {"ktime": "when the log took the record (UTC)"}
_NATIVE = {
    "organization_id": "the organization that the account belongs to",
    "platform": "meta, google, linkedin or tiktok",
    "account_id": "the account on the platform, as the platform writes it",
    "level": "campaign or campaign_group",
    "native_id": "the platform's own id of the campaign",
}
_MICROS = "millionths of the currency"

TABLES: Mapping[str, TableMeaning] = {
    "events": TableMeaning(
        "Every event that counts, once: one row is one event.",
        {
            "event_id": "the sender's id; unique within the campaign",
            "campaign_id": _CAMPAIGN,
            "event_time": "when it happened (UTC, microseconds)",
            "day": "its calendar day in the campaign's own time zone",
            "platform": "meta, google, linkedin or tiktok",
            "event_type": "impression, click, conversion, metrics or adjustment",
            "region": "country or subdivision, ISO 3166; ZZ is unknown",
            "ad_group_id": "the sender's ad group; empty where none was given",
            "ad_id": "the sender's ad; empty where none was given",
            "device": "the sender's word for the device; empty where none was given",
            "currency": "of spend and revenue, ISO 4217",
            "impressions": "count",
            "clicks": "count",
            "conversions_millionths": "conversions times 1,000,000: fractions are exact",
            "spend_micros": f"spend in {_MICROS}",
            "revenue_micros": f"revenue in {_MICROS}",
            "fingerprint": "a hash of the content, by which a copy that differs is known",
            **_LOG,
            **_KTIME,
        },
    ),
    "rollup_1d": TableMeaning(
        "Sums of events by day in the campaign's own zone. Always ask with sum() and GROUP BY: rows are merged late.",
        {
            "campaign_id": _CAMPAIGN,
            "day": "the calendar day in the campaign's own time zone",
            "platform": "meta, google, linkedin or tiktok",
            "region": "country or subdivision, ISO 3166; ZZ is unknown",
            "currency": "of the money beside it, ISO 4217",
            "events": "how many events are in the sums",
            "impressions": "sum",
            "impressions_high": "sum of each event's impressions div 2^28: tells a sum beyond 64 bits",
            "clicks": "sum",
            "clicks_high": "as impressions_high",
            "conversions_millionths": "sum, in millionths",
            "conversions_millionths_high": "as impressions_high",
            "spend_micros": f"sum, in {_MICROS}",
            "spend_micros_high": "as impressions_high",
            "revenue_micros": f"sum, in {_MICROS}",
            "revenue_micros_high": "as impressions_high",
            "last_event_at": "the newest event_time in the sums; ask with max()",
        },
    ),
    "event_conflicts": TableMeaning(
        "Copies of an event that say something else than the one that counted; they count for nothing.",
        {
            "campaign_id": _CAMPAIGN,
            "event_id": "the id that both copies have",
            "event_time": "when the copy says that it happened (UTC)",
            "value": "the copy's record, byte for byte",
            **_LOG,
            **_KTIME,
        },
    ),
    "report_slices": TableMeaning(
        "What the platforms reported: one row is one version of a native campaign's day; the one fetched last stands.",
        {
            **_NATIVE,
            "breakdown": "total, or country",
            "day": "the account's own calendar day",
            "currency": "the account's currency",
            "timezone": "the account's time zone",
            "definition": "which conversions the platform was asked to count",
            "fetched_at": "when the version was fetched (UTC)",
            "digest": "a hash of what the version says",
            "regions": "the countries of the arrays beside it; one empty text for a day's total",
            "impressions": "one a region; NULL where the platform does not give it",
            "clicks": "one a region; NULL where the platform does not give it",
            "conversions_millionths": "one a region, in millionths",
            "spend_micros": f"one a region, in {_MICROS}",
            "revenue_micros": f"one a region, in {_MICROS}",
            **_LOG,
            "kindex": "which slice of the record it is",
            **_KTIME,
        },
    ),
    "report_natives": TableMeaning(
        "When a native campaign first had a row in any report. Ask with min() and GROUP BY.",
        {**_NATIVE, "first_ktime": "when the log took its first row (UTC)"},
    ),
    "report_coverage": TableMeaning(
        "Which days a fetch got to the end of: it tells a zero from nothing asked.",
        {
            **_NATIVE,
            "native_id": "the platform's own id of the campaign; empty for all that the account has",
            "breakdown": "total, or country",
            "first_day": "the first day covered",
            "last_day": "the last day covered",
            "currency": "the account's currency",
            "timezone": "the account's time zone",
            "fetched_at": "when the fetch began (UTC)",
            **_LOG,
            **_KTIME,
        },
    ),
}
