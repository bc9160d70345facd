"""The oracle agrees with the published samples to the last digit, and with what a person computes by hand.

`CA_TEST_SAMPLES` names the directory of the samples: folders of events with the answers that must come out.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.model import make_example
from tests.model.faults import BAD_MEMBERS, BAD_RECORDS, MAX_RECORD_BYTES
from tests.model.histories import random_history
from tests.model.questions import INVALID, random_questions, request
from tests.model.records import parse_instant
from tests.model.reference import METRICS, RATIOS, Model, model_of

Json = dict[str, Any]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY_MS = 86_400_000
SAMPLES = os.environ.get("CA_TEST_SAMPLES")


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def record(event_id: str = "e", /, **fields: Any) -> bytes:
    """A good event with other fields put in; numbers and times may be given as raw JSON in bytes."""
    members = {
        "event_id": event_id,
        "campaign_id": 1,
        "platform": "meta",
        "event_time": "2026-10-01T12:00:00Z",
        **fields,
    }
    raw = (f"{json.dumps(k)}:{v.decode() if isinstance(v, bytes) else json.dumps(v)}" for k, v in members.items())
    return f"{{{','.join(raw)}}}".encode()


def model_with(*records: bytes, timezone: str = "UTC", currency: str = "USD", rates: tuple[Json, ...] = ()) -> Model:
    """A model with one campaign that took all of these records."""
    model = Model()
    model.add_campaign(1, timezone=timezone, currency=currency, platforms=[])
    model.add_rates(rates)
    for number, value in enumerate(records):
        assert model.feed(value, milliseconds(NOW)) is None, number
    return model


def ask(
    model: Model, start: str, end: str, *, now: datetime = NOW, campaigns: tuple[int, ...] = (1,), **params: Any
) -> Json:
    params = {"start_date": start, "end_date": end, **params}
    return model.answer({"campaigns": list(campaigns), "several": len(campaigns) > 1, "params": params}, now)


def rate(day: str, currency: str, base: str, value: float | str) -> Json:
    return {"date": day, "currency": currency, "base": base, "rate": value}


# The published samples


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(), parse_float=Decimal)


def question_of(asked: Json) -> Json:
    params = dict(asked["params"])
    if "campaign" in params:
        return {"campaigns": [int(one) for one in params.pop("campaign").split(",")], "several": True, "params": params}
    return {"campaigns": [int(asked["path"].split("/")[4])], "several": False, "params": params}


def without_free_members(rows: list[Json], expected: list[Json]) -> list[Json]:
    """`source` where the expected row does not say it: it may be anything there."""
    return [
        {member: value for member, value in row.items() if member != "source" or "source" in wanted}
        for row, wanted in zip(rows, expected, strict=True)
    ]


@pytest.mark.skipif(not SAMPLES, reason="CA_TEST_SAMPLES does not name the directory of the samples")
@pytest.mark.parametrize("name", ["edge-9001", "edge-9002", "edge-9003", "edge-9004", "steady"])
def test_agrees_with_the_samples(name: str) -> None:
    folder = Path(str(SAMPLES)) / name
    model = Model()
    for number, campaign in enumerate(load(folder, "campaigns.json"), 1):
        model.add_campaign(number, timezone=campaign["timezone"], currency=campaign["currency"], platforms=[])
    model.add_rates(load(folder, "rates.json"))
    lines = gzip.decompress((folder / "events.ndjson.gz").read_bytes()).removesuffix(b"\n").split(b"\n")
    refused = [[line, code] for line, value in enumerate(lines) if (code := model.feed(value, milliseconds(NOW)))]
    assert refused == load(folder, "refused.json")["line_and_reason"]

    for number, asked in enumerate(load(folder, "answers.json")):
        expected = asked["expect"]
        answer = model.answer(question_of(asked), NOW)
        assert len(answer["rows"]) == len(expected["rows"]), (number, asked["params"])
        answer["rows"] = without_free_members(answer["rows"], expected["rows"])
        if expected.get("comparison"):  # these say nothing of its rows, which are optional
            del answer["comparison"]["rows"]
        assert {member: answer[member] for member in expected} == expected, (number, asked["params"])


# One record


@pytest.mark.parametrize(("field", "code", "raw"), BAD_MEMBERS)
def test_refuses_a_bad_member(field: str, code: str, raw: str) -> None:
    assert Model.feed(model_with(), record(**{field: raw.encode()}), milliseconds(NOW)) == code


@pytest.mark.parametrize(("value", "code"), BAD_RECORDS)
def test_refuses_a_bad_record(value: bytes, code: str) -> None:
    assert model_with().feed(value, milliseconds(NOW)) == code


@pytest.mark.parametrize(
    "fields",
    [
        {"campaign_id": b"1.0", "impressions": b"1e3", "clicks": b"9007199254740993.0", "spend": b"0e999999999"},
        {"campaign_id": b"10e-1", "impressions": b"10000000000000000", "clicks": b"1e16", "spend": b'"-0.0"'},
        {"event_time": b"17908992e5", "conversions": b"999999999.999999", "revenue": b'"999999999999999E-6"'},
        {"event_time": "2026-10-01t12:00:60.1234567z", "region": "us-ca", "platform": "LinkedIn", "currency": "eur"},
        {"event_type": "", "region": None, "ad_id": "", "impressions": "", "spend": None, "currency": ""},
        {"event_type": "Adjustment", "clicks": -(10**16), "spend": "-999999999.999999", "conversions": b"-0.5"},
        {"ad_id": "😀" * 128, "device": "\0", "unknown": "x" * 1000},
    ],
)
def test_takes_odd_spellings(fields: Json) -> None:
    model_with(record(**fields))


def test_size_and_depth_are_taken_up_to_their_bounds() -> None:
    plain = record(padding="")
    model = model_with(plain.replace(b'""', b'"%s"' % (b"x" * (MAX_RECORD_BYTES - len(plain)))))
    assert model.feed(record(deep=b"[" * 127 + b"]" * 127), milliseconds(NOW)) is None
    assert model.feed(record(deep=b"[" * 128 + b"]" * 128), milliseconds(NOW)) == "malformed_json"


def test_the_first_broken_rule_of_the_table_is_the_reason() -> None:
    model = model_with()

    def reason(**fields: Any) -> str | None:
        return model.feed(record(**fields), milliseconds(NOW))

    assert reason(event_id=5, campaign_id="x", platform=1) == "invalid_type"
    assert reason(platform="snapchat", event_time=None) == "unknown_platform"
    assert reason(event_time="1999-12-31T23:59:59Z", region="USA") == "event_time_too_old"
    assert reason(region="USA", clicks="1") == "invalid_region"
    assert reason(clicks="1", spend="-1") == "invalid_type"
    assert reason(impressions="5", conversions=-1) == "invalid_type"
    assert reason(spend="x", currency=5) == "invalid_value"
    assert reason(campaign_id=2, currency="XYZ") == "invalid_value"
    assert reason(campaign_id=2, event_time="2100-01-01T00:00:00Z") == "event_time_in_future"
    assert reason(campaign_id=2) == "unknown_campaign"
    assert reason(event_type="adjustment", clicks=-(10**16) - 1) == "invalid_value"


def test_of_a_key_given_twice_the_last_counts() -> None:
    good = record(platform="snapchat", clicks=b"-1").removesuffix(b"}")
    model = model_with(good + b',"platform":"meta","clicks":null}')
    assert [(event.platform, event.clicks) for event in model.counted(1)] == [("meta", 0)]
    assert model.feed(good + b',"platform":""}', milliseconds(NOW)) == "missing_field"


def test_a_kind_of_event_implies_one_of_its_metric_only_when_that_is_absent() -> None:
    model = model_with(
        record("1", event_type="impression"),
        record("2", event_type="CLICK", clicks=None),
        record("3", event_type="conversion", conversions=0, impressions=5),
        record("4", event_type="click", clicks=7),
    )
    assert [(event.impressions, event.clicks, event.conversions) for event in model.counted(1)] == [
        (1, 0, 0),
        (0, 1, 0),
        (5, 0, 0),
        (0, 7, 0),
    ]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:60z", 0),
        ("1970-01-01t05:30:00.0000019+05:30", 1),
        ("1969-12-31T23:59:59.9999999-00:00", -1),
        ("2000-02-29T00:00:00+00:00", 951_782_400_000_000),
        ("1970-01-01T23:59:00+23:59", 0),
        ("0000-03-01T00:00:00Z", -62_162_035_200_000_000),
        ("1900-02-29T00:00:00Z", None),
        ("1970-01-01 00:00:00Z", None),
    ],
)
def test_reads_times(text: str, instant: int | None) -> None:
    assert parse_instant(text) == instant


def test_event_times_are_judged_by_the_record_s_time_in_the_log() -> None:
    model = model_with()
    at = milliseconds(NOW)
    day, retention = DAY_MS, 400 * DAY_MS
    assert model.feed(record("1", event_time=at + day), at) is None
    assert model.feed(record("2", event_time=at + day + 1), at) == "event_time_in_future"
    assert model.feed(record("3", event_time=at - retention), at) is None
    assert model.feed(record("4", event_time=at - retention - 1), at) == "event_time_too_old"


# Copies


def test_a_copy_counts_once_whatever_it_says() -> None:
    model = model_with(
        record("a", clicks=1),
        record("a", clicks=b"1.0", event_type="METRICS"),
        record("a", clicks=2),
        record("a", event_time="2026-09-01T00:00:00Z"),
        record("b", clicks=1),
    )
    assert [event.event_id for event in model.counted(1)] == ["a", "b"]
    assert (model.duplicates[1], model.conflicts[1]) == (3, 2)


def test_a_late_copy_counts_once_when_it_names_the_same_instant() -> None:
    model = Model()
    model.add_campaign(1, timezone="UTC", currency="USD", platforms=[])
    start, week = milliseconds(NOW), 7 * DAY_MS
    ahead = NOW + timedelta(hours=23)
    assert model.feed(record(event_time=ahead.isoformat()), start) is None
    for log_time, moment, counted in (
        (start + week, "2026-10-02T00:00:00Z", 1),
        (start + week + 1, ahead.astimezone().isoformat(), 1),
        (start + week + 1, "2026-10-02T00:00:00Z", 2),
        (start + week + 2, "2026-10-03T00:00:00Z", 2),
        (start + 2 * week + 2, "2026-10-03T00:00:00Z", 3),
    ):
        assert model.feed(record(event_time=moment), log_time) is None
        assert len(model.counted(1)) == counted


def test_an_id_is_scoped_to_its_campaign_and_a_refused_record_is_no_original() -> None:
    model = model_with()
    model.add_campaign(2, timezone="UTC", currency="USD", platforms=[])
    at = milliseconds(NOW)
    assert model.feed(record(clicks=-1), at) == "invalid_value"
    assert [model.feed(record(campaign_id=campaign), at) for campaign in (1, 2, 1)] == [None, None, None]
    assert (len(model.counted(1)), len(model.counted(2)), model.duplicates[1]) == (1, 1, 1)


# Days and hours


def test_a_day_of_a_half_hour_zone_begins_at_half_past() -> None:
    model = model_with(
        record("last", event_time="2026-10-01T18:29:59.999999Z", clicks=1),
        record("first", event_time="2026-10-01T18:30:00Z", clicks=10),
        timezone="Asia/Kolkata",
    )
    rows = ask(model, "2026-10-01", "2026-10-02")["rows"]
    assert [(row["period_start"], row["clicks"]) for row in rows] == [("2026-10-01", 1), ("2026-10-02", 10)]
    assert [row["clicks"] for row in ask(model, "2026-10-01", "2026-10-01", timezone="UTC")["rows"]] == [11]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08", 23), ("2026-03-09", 24), ("2025-11-02", 25), ("2026-11-01", 25)]
)
def test_a_day_has_as_many_hours_as_the_clock_shows(day: str, hours: int) -> None:
    rows = ask(model_with(timezone="America/New_York"), day, day, granularity="hourly", fill="zero")["rows"]
    assert len(rows) == hours
    assert all(earlier["period_end"] == later["period_start"] for earlier, later in pairwise(rows))
    if hours == 25:
        assert [row["period_start"][10:] for row in rows[1:3]] == ["T01:00:00-04:00", "T01:00:00-05:00"]


def test_an_hour_is_cut_where_lord_howe_moves_by_half_an_hour() -> None:
    model = model_with(
        record("before", event_time="2026-04-04T14:59:59.999999Z", clicks=1),
        record("after", event_time="2026-04-04T15:00:00Z", clicks=10),
        timezone="Australia/Lord_Howe",
    )
    hours = [
        (row["period_start"][11:], row["period_end"][11:], row["clicks"])
        for row in ask(model, "2026-04-05", "2026-04-05", granularity="hourly")["rows"]
    ]
    assert hours == [("01:00:00+11:00", "01:30:00+10:30", 1), ("01:30:00+10:30", "02:00:00+10:30", 10)]
    spring = ask(model, "2026-10-04", "2026-10-04", granularity="hourly", fill="zero")["rows"]
    assert [row["period_start"][11:] for row in spring[:4]] == [
        "00:00:00+10:30",
        "01:00:00+10:30",
        "02:30:00+11:00",
        "03:00:00+11:00",
    ]
    assert len(spring) == 24


def test_weeks_and_months_are_shown_whole_and_counted_inside_the_range() -> None:
    days = ("2026-09-27", "2026-09-28", "2026-10-04", "2026-10-05")
    model = model_with(*(record(day, event_time=f"{day}T12:00:00Z", clicks=1) for day in days))

    def periods(start: str, end: str, **params: Any) -> list[tuple[Any, ...]]:
        rows = ask(model, start, end, **params)["rows"]
        return [(row["period_start"], row["period_end"], row["partial"], row["clicks"]) for row in rows]

    assert periods("2026-09-28", "2026-10-05", granularity="weekly") == [
        ("2026-09-28", "2026-10-04", False, 2),
        ("2026-10-05", "2026-10-11", True, 1),
    ]
    assert periods("2026-09-28", "2026-10-05", granularity="weekly", week_start="sunday") == [
        ("2026-09-27", "2026-10-03", True, 1),
        ("2026-10-04", "2026-10-10", True, 2),
    ]
    assert periods("2026-09-01", "2026-10-04", granularity="monthly") == [
        ("2026-09-01", "2026-09-30", False, 2),
        ("2026-10-01", "2026-10-31", True, 1),
    ]
    assert periods("2026-10-06", "2026-10-07", granularity="total") == [("2026-10-06", "2026-10-07", False, 0)]
    assert periods("2026-10-06", "2026-10-07") == []


def test_zero_rows_are_those_that_have_begun_and_live_until_their_day_is_over() -> None:
    model = model_with(timezone="Asia/Kolkata")
    now = datetime(2026, 11, 23, 18, 45, tzinfo=UTC)  # quarter past midnight on the 24th
    daily = ask(model, "2026-11-22", "2026-11-30", now=now, fill="zero")["rows"]
    assert [(row["period_start"], row["finality"]) for row in daily] == [
        ("2026-11-22", "provisional"),
        ("2026-11-23", "provisional"),
        ("2026-11-24", "live"),
    ]
    hourly = ask(model, "2026-11-24", "2026-11-30", now=now, granularity="hourly", fill="zero")["rows"]
    assert [row["period_start"] for row in hourly] == ["2026-11-24T00:00:00+05:30"]
    default = model.answer({"campaigns": [1], "several": False, "params": {}}, now)
    assert (default["start_date"], default["end_date"]) == ("2026-10-26", "2026-11-24")


# Numbers


@pytest.mark.parametrize(
    ("spend", "clicks", "cpc"),
    [
        ("0.000001", 2, "0"),
        ("0.000003", 2, "0.000002"),
        ("0.000005", 2, "0.000002"),
        ("2", 3, "0.666667"),
        ("0", 0, None),
    ],
)
def test_ratios_are_rounded_half_to_even(spend: str, clicks: int, cpc: str | None) -> None:
    totals = ask(model_with(record(spend=spend, clicks=clicks)), "2026-10-01", "2026-10-01")["totals"]
    assert totals["cpc"] == (None if cpc is None else Decimal(cpc))


@pytest.mark.parametrize(
    ("spend", "value", "converted"),
    [
        ("0.000001", 1.5, "0.000002"),
        ("0.000001", 2.5, "0.000002"),
        ("-0.000001", 1.5, "-0.000002"),
        ("3", 0.333333, "0.999999"),
    ],
)
def test_conversions_are_rounded_half_to_even(spend: str, value: float, converted: str) -> None:
    event = record(event_type="adjustment", spend=spend, revenue=spend, currency="JPY")
    totals = ask(model_with(event, rates=(rate("2026-10-01", "JPY", "USD", value),)), "2026-10-01", "2026-10-01")[
        "totals"
    ]
    assert (totals["spend"], totals["revenue"]) == (Decimal(converted), Decimal(converted))


def test_ratios_of_negative_divisors_are_null() -> None:
    answer = ask(
        model_with(record(event_type="adjustment", clicks=-2, spend=-1, conversions=3)), "2026-10-01", "2026-10-01"
    )
    assert {name for name in RATIOS if answer["totals"][name] is not None} == {"cpa"}
    assert answer["totals"]["cpa"] == Decimal("-0.333333")


def test_money_is_converted_once_for_each_day_of_a_row() -> None:
    half = tuple(rate(day, "EUR", "USD", 0.5) for day in ("2026-10-01", "2026-10-02"))
    micro = {"spend": "0.000001", "currency": "EUR"}
    model = model_with(
        record("1", event_time="2026-10-01T01:00:00Z", device="a", **micro),
        record("2", event_time="2026-10-01T02:00:00Z", device="b", **micro),
        record("3", event_time="2026-10-02T01:00:00Z", device="a", **micro),
        rates=half,
    )
    total = ask(model, "2026-10-01", "2026-10-02", granularity="total")  # 2 * 0.5 + half of 1, rounded to even
    assert (total["totals"]["spend"], total["warnings"]) == (Decimal("0.000001"), ["mixed_currency"])
    by_device = ask(model, "2026-10-01", "2026-10-02", granularity="total", group_by="device")
    assert [row["spend"] for row in by_device["rows"]] == [0, 0]
    assert by_device["totals"]["spend"] == 0


def test_a_missing_rate_makes_its_money_null() -> None:
    model = model_with(
        record("1", spend=1, revenue=2, clicks=4),
        record("2", spend=0, revenue=3, currency="EUR"),
        record("3", event_time="2026-10-02T00:00:00Z", spend=5, currency="INR"),
        rates=(
            rate("2026-09-23", "EUR", "USD", 2),
            rate("2026-10-01", "USD", "EUR", 2),
            rate("2026-09-25", "INR", "USD", 3),
        ),
    )
    answer = ask(model, "2026-10-01", "2026-10-02")  # the rate of EUR is 8 days old, that of INR 7
    first, second = answer["rows"]
    assert (first["spend"], first["revenue"], first["cpc"], first["roas"]) == (1, None, Decimal("0.25"), None)
    assert (second["spend"], second["revenue"]) == (15, 0)
    assert (answer["totals"]["spend"], answer["totals"]["revenue"], answer["totals"]["roas"]) == (16, None, None)
    assert answer["warnings"] == ["missing_rate", "mixed_currency"]


def test_amounts_of_zero_need_no_rate() -> None:
    refund = record("2", event_type="adjustment", spend=-5, currency="EUR")
    answer = ask(model_with(record("1", spend=5, currency="EUR"), refund), "2026-10-01", "2026-10-01")
    assert (answer["totals"]["spend"], answer["warnings"], len(answer["rows"])) == (0, [], 1)


def test_a_comparison_is_made_with_the_days_before_and_the_year_before() -> None:
    model = model_with(
        record("1", event_time="2026-10-03T00:00:00Z", clicks=3),
        record("2", event_time="2026-10-01T00:00:00Z", clicks=2),
        record("3", event_time="2026-09-30T00:00:00Z", clicks=100),
    )
    earlier = ask(model, "2026-10-03", "2026-10-04", compare="previous_period")["comparison"]
    assert (earlier["start_date"], earlier["end_date"], earlier["totals"]["clicks"]) == ("2026-10-01", "2026-10-02", 2)
    assert earlier["change"] == {**dict.fromkeys(METRICS), "clicks": Decimal("0.5")}
    swapped = ask(model, "2026-09-30", "2026-09-30", compare="previous_period")["comparison"]
    assert swapped["change"] == dict.fromkeys(METRICS)
    leap = ask(model, "2024-02-29", "2024-03-01", compare="previous_year")["comparison"]
    assert (leap["start_date"], leap["end_date"]) == ("2023-02-28", "2023-03-01")


def test_a_comparison_warns_of_its_own_conversions_and_shows_no_change_from_below_zero() -> None:
    model = model_with(
        record("1", spend=3, clicks=1),
        record("2", event_time="2026-09-30T00:00:00Z", event_type="adjustment", spend=-1, clicks=-1, currency="EUR"),
        rates=(rate("2026-09-30", "EUR", "USD", 2),),
    )
    answer = ask(model, "2026-10-01", "2026-10-01", compare="previous_period")
    assert (answer["comparison"]["totals"]["spend"], answer["warnings"]) == (-2, ["mixed_currency"])
    assert answer["comparison"]["change"] == dict.fromkeys(METRICS)


def test_a_country_stands_for_its_subdivisions_too() -> None:
    regions = ("US", "us-ca", "US-NY", "GB", None)
    model = model_with(*(record(str(region), region=region, clicks=1) for region in regions))

    def found(region: str) -> list[str]:
        rows = ask(model, "2026-10-01", "2026-10-01", group_by="region", region=region)["rows"]
        return [row["region"] for row in rows]

    assert found("us") == ["US", "US-CA", "US-NY"]
    assert found("US-CA,gb") == ["GB", "US-CA"]
    assert found("ZZ") == ["ZZ"]


def test_rows_are_sorted_with_nulls_last_and_ties_in_the_default_order() -> None:
    model = model_with(
        *(
            record(device, device=device, impressions=impressions, clicks=clicks)
            for device, impressions, clicks in (
                ("c", 0, 1),
                ("b", 4, 1),
                ("a", 2, 1),
                ("d", 4, 1),
                ("é", 0, 0),
                ("Z", 8, 2),
            )
        )
    )

    def devices(**params: Any) -> list[str]:
        rows = ask(model, "2026-10-01", "2026-10-01", group_by="device", **params)["rows"]
        return [row["device"] for row in rows]

    assert devices() == ["Z", "a", "b", "c", "d", "é"]
    assert devices(sort="ctr") == ["a", "Z", "b", "d", "c", "é"]
    assert devices(sort="ctr", order="asc") == ["Z", "b", "d", "a", "c", "é"]
    assert devices(sort="device") == ["Z", "a", "b", "c", "d", "é"]
    assert devices(sort="device", order="desc") == ["é", "d", "c", "b", "a", "Z"]


def test_several_campaigns_need_a_common_currency_and_time_zone() -> None:
    model = model_with(record(spend=1))
    model.add_campaign(2, timezone="Asia/Kolkata", currency="INR", platforms=[])
    both = ask(model, "2026-10-01", "2026-10-01", campaigns=(2, 1))
    assert (both["error"], both["fields"]) == (422, ["timezone", "currency"])
    answer = ask(
        model, "2026-10-01", "2026-10-01", campaigns=(2, 1), timezone="UTC", currency="USD", group_by="campaign"
    )
    assert [(row["campaign_id"], row["spend"]) for row in answer["rows"]] == [(1, 1)]


@pytest.mark.parametrize("params", INVALID)
def test_an_invalid_question_names_its_field(params: Json) -> None:
    answer = model_with().answer({"campaigns": [1], "several": False, "params": params}, NOW)
    assert answer["error"] == 422
    assert set(answer["fields"]) & set(params)


# Random histories


def test_a_history_is_made_by_its_seed_alone() -> None:
    assert random_history(5, now=NOW, spread_days=30) == random_history(5, now=NOW, spread_days=30)
    assert random_history(5, now=NOW) != random_history(6, now=NOW)


def test_histories_hold_everything_that_can_go_wrong() -> None:
    reasons: set[str | None] = set()
    copies = conflicts = counted_again = 0
    for seed in range(30):
        history = random_history(seed, now=NOW, spread_days=40 * (seed % 2))
        assert all(earlier.log_time_ms <= later.log_time_ms for earlier, later in pairwise(history.steps))
        assert all(record.strip() and b"\n" not in record for record in history.records)
        model, refused = model_of(history)
        reasons |= set(refused)
        copies += model.duplicates.total()
        conflicts += model.conflicts.total()
        for campaign in range(1, len(history.campaigns) + 1):
            ids = [event.event_id for event in model.counted(campaign)]
            counted_again += len(ids) - len(set(ids))
    assert reasons >= {code for _, code, _ in BAD_MEMBERS} | {"malformed_json"}
    assert min(copies, conflicts, counted_again) > 20


def test_whatever_is_asked_rows_add_up_and_groupings_agree() -> None:
    for seed in range(30):
        history = random_history(seed, now=NOW)
        model, _ = model_of(history)
        for question in random_questions(random.Random(seed), history, NOW, 8):
            answer = model.answer(question, NOW)
            if "error" in answer:
                continue
            for metric in METRICS:
                values = [row[metric] for row in answer["rows"]]
                assert answer["totals"][metric] == (None if None in values else sum(values)), (seed, request(question))
            if answer["warnings"]:
                continue
            bare = {
                name: value for name, value in question["params"].items() if name not in ("group_by", "sort", "order")
            }
            assert model.answer({**question, "params": bare}, NOW)["totals"] == answer["totals"], (
                seed,
                request(question),
            )


def test_the_example_is_what_the_model_says() -> None:
    for name, content in make_example.make().items():
        kept = (make_example.FOLDER / name).read_bytes()
        if name.endswith(".gz"):  # libraries pack differently
            kept, content = gzip.decompress(kept), gzip.decompress(content)
        assert kept == content, f"{name}: python -m tests.model.make_example writes it anew"
