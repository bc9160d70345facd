"""What each metric is: its formula, what it is in, and what each platform counts.

Reports are taken as the platforms make them, so the same word means something else on each. Versions of the
definition of a conversion stand beside every report; these are the defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from campaignctl.domain.insights import Metric, Ratio
from campaignctl.domain.platforms import Platform

MetricName = Metric | Ratio


@dataclass(frozen=True, slots=True)
class MetricFacts:
    meaning: str
    formula: str
    unit: str
    stream: str
    """What events count."""
    platforms: Mapping[Platform, str]
    """What each platform's reports count; of a ratio empty: see its parts."""


_MONEY = "money in the asked currency, exact to 6 places"
_BY_COUNTRY_ON_LINKEDIN = "By country it comes up to a day later, is approximate, and leaves out what is below 3."

_METRICS = {
    Metric.IMPRESSIONS: MetricFacts(
        "How often ads were shown.",
        "the sum of impressions",
        "a whole number",
        "The impressions that events name; an event of type impression that names none is one.",
        {
            Platform.META: "impressions of the campaign, those of ads that were deleted or archived since included.",
            Platform.GOOGLE: "impressions of the campaign. By country both kinds of location are added up.",
            Platform.LINKEDIN: f"impressions, by days of UTC. {_BY_COUNTRY_ON_LINKEDIN}",
            Platform.TIKTOK: "impressions of the campaign, deleted ones included. By country 6 to 12 hours later.",
        },
    ),
    Metric.CLICKS: MetricFacts(
        "How often ads were clicked.",
        "the sum of clicks",
        "a whole number",
        "The clicks that events name; an event of type click that names none is one.",
        {
            Platform.META: "clicks of the campaign, not only those on a link, which Meta tells as an action.",
            Platform.GOOGLE: "clicks of the campaign. By country both kinds of location are added up.",
            Platform.LINKEDIN: f"clicks, by days of UTC. {_BY_COUNTRY_ON_LINKEDIN}",
            Platform.TIKTOK: "clicks of the campaign, deleted ones included. By country 6 to 12 hours later.",
        },
    ),
    Metric.CONVERSIONS: MetricFacts(
        "What people did that the advertiser wanted, as far as it is attributed to ads.",
        "the sum of conversions",
        "a decimal number, exact to 6 places: attribution gives fractions",
        "The conversions that events name; an event of type conversion that names none is one.",
        {
            Platform.META: (
                "meta-1: the actions offsite_conversion.fb_pixel_purchase, offsite_conversion.fb_pixel_lead,"
                " offsite_conversion.fb_pixel_custom, onsite_conversion.purchase and onsite_conversion.lead_grouped,"
                " by the attribution that the ad set is set to. Other actions contain these and are not added."
            ),
            Platform.GOOGLE: (
                "google-1: conversions, with fractions by the attribution model, dated by the day of the click, so"
                " that a day grows for weeks; all_conversions is wider and has to be chosen."
            ),
            Platform.LINKEDIN: (
                "linkedin-1: externalWebsiteConversions, after a click or a view, and oneClickLeads, the forms filled"
                " in on LinkedIn; by days of UTC."
            ),
            Platform.TIKTOK: (
                "tiktok-1: conversion, the event that the ad group optimizes for, dated by the day of the view or the"
                " click; real_time_conversion, by the day of the conversion, has to be chosen."
            ),
        },
    ),
    Metric.SPEND: MetricFacts(
        "What the ads cost.",
        "the sum of spend; amounts in other currencies are converted at the stored rate of their day",
        _MONEY,
        "The spend that events name, in the currency that they name, else in the campaign's.",
        {
            Platform.META: "spend, in the account's currency, by days of the account's zone.",
            Platform.GOOGLE: "cost_micros, in the account's currency, by days of the account's zone.",
            Platform.LINKEDIN: "costInLocalCurrency, in the account's currency, by days of UTC, to 6 places.",
            Platform.TIKTOK: "spend, in the advertiser's currency, by days of the advertiser's zone.",
        },
    ),
    Metric.REVENUE: MetricFacts(
        "What conversions were worth.",
        "the sum of revenue; amounts in other currencies are converted at the stored rate of their day",
        _MONEY,
        "The revenue that events name, in the currency that they name, else in the campaign's.",
        {
            Platform.META: "action_values of the actions that count as conversions, in the account's currency.",
            Platform.GOOGLE: "conversions_value of the conversions that count, in the account's currency.",
            Platform.LINKEDIN: "conversionValueInLocalCurrency, in the account's currency, by days of UTC.",
            Platform.TIKTOK: "Not reported: 0 on the days for which the report stands.",
        },
    ),
}
_RATIOS = {
    Ratio.CTR: ("Which part of impressions was clicked.", "clicks / impressions", "a fraction: 0.02 is 2 %"),
    Ratio.CPC: ("What a click cost.", "spend / clicks", "money in the asked currency for each click"),
    Ratio.CPM: (
        "What a thousand impressions cost.",
        "1000 * spend / impressions",
        "money in the asked currency for each thousand impressions",
    ),
    Ratio.CPA: ("What a conversion cost.", "spend / conversions", "money in the asked currency for each conversion"),
    Ratio.CVR: ("Which part of clicks led to a conversion.", "conversions / clicks", "a fraction: 0.02 is 2 %"),
    Ratio.ROAS: (
        "What was earned for each unit of money spent.",
        "revenue / spend",
        "a fraction: 2 is twice the spend",
    ),
}
_OF_RATIOS = "; from sums, rounded half-even to 6 places, null where the divisor is not above 0"


def facts_of(metric: MetricName) -> MetricFacts:
    if isinstance(metric, Metric):
        return _METRICS[metric]
    meaning, formula, unit = _RATIOS[metric]
    return MetricFacts(meaning, f"{formula}{_OF_RATIOS}", unit, "", {})


def parts_of(metric: MetricName) -> tuple[Metric, ...]:
    """The sums that it is made of: itself, or dividend and divisor."""
    return metric.parts if isinstance(metric, Ratio) else (metric,)


def metric_named(name: str) -> MetricName | None:
    known: dict[str, MetricName] = {one.value: one for one in (*Metric, *Ratio)}
    return known.get(name)
