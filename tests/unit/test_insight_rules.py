"""Which rule decided about a day: the same as the decision about whole ranges, whatever is there."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.domain.insight_cells import Cells, NativeDays
from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insight_reports import decide
from campaignctl.domain.insight_rules import Rule, expected_final_at, finality_of, rule_of, source_of, why, why_final
from campaignctl.domain.insights import Finality, InsightQuery, RowSource, Source
from campaignctl.ports.metadata import CampaignFacts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = 5
FACTS = CampaignFacts(1, 1, "UTC", "USD", ("meta",), version=1, data_version=1, rates_version=1)
LOOKBACK = {"meta": 2}


def query_of(source: str, region: str) -> InsightQuery:
    params = {"start_date": ["2026-11-20"], "end_date": ["2026-11-24"], "source": [source]}
    if region:
        params["region"] = [region]
    return parse_query(params, campaign_ids=[1], several=False, facts=[FACTS], now=NOW)


flags = st.lists(st.booleans(), min_size=DAYS, max_size=DAYS).map(lambda found: np.array(found, bool))
natives = st.builds(
    NativeDays,
    campaign=st.just(1),
    platform=st.just("meta"),
    place=st.just(0),
    zone=st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")]),
    runs=flags,
    covered=flags,
    covered_by_country=flags,
    seen=st.booleans(),
)


@given(
    of_cell=st.lists(natives, min_size=1, max_size=3),
    source=st.sampled_from(list(Source)),
    region=st.sampled_from(["", "US", "US-CA"]),
    streamed=flags,
)
def test_the_rule_of_a_day_is_the_decision_about_the_range(
    of_cell: list[NativeDays], source: Source, region: str, streamed: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> None:
    query = query_of(source, region)
    cell = Cells(query.days, of_cell, NOW, LOOKBACK["meta"])
    known = {(1, "meta"): cell} if cell.known.any() else {}
    open_days = [(1, "meta", n) for n in range(DAYS) if streamed[n]]
    decision = decide(query, known, open_days)
    for n, day in enumerate(query.days):
        rule = rule_of(query, cell, n, streamed=bool(streamed[n]))
        stands = source_of(rule, source)
        assert (stands is RowSource.REPORT) is decision.stands_for(1, "meta", n)
        assert (stands is None) <= (source is Source.REPORT)
        assert (rule in {Rule.NO_COUNTRIES, Rule.SUBDIVISION}) is (day in decision.passed_over)
        assert why(rule, query, "meta", cell, n).endswith(".")
        level = finality_of(query, cell, n)
        assert why_final(query, "meta", cell, n, LOOKBACK).endswith(".")
        assert (expected_final_at(cell, n) is not None) is bool(cell.whole[n])
        assert level is not Finality.FINAL or bool(cell.whole[n])


def _native(covered: str, *, runs: str = "11111", seen: bool = True, zone: str = "UTC") -> NativeDays:
    def bits(text: str) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return np.array([one == "1" for one in text], bool)

    return NativeDays(1, "meta", 0, ZoneInfo(zone), bits(runs), bits(covered), bits("00000"), seen)


@pytest.mark.parametrize(
    ("of_cell", "number", "told"),
    [
        ([_native("11111", runs="00000")], 0, "The campaign has no native campaign of meta on this day. So the stream"),
        ([_native("01111")], 0, "No fetch has covered this day of meta."),
        ([_native("11111", seen=False)], 0, "no fetch of any day has had a row"),
        ([_native("11111"), _native("00000")], 0, "some were fetched, and others never were. So the stream stands."),
        ([_native("11111")], 3, "The day is not over in UTC, and the stream has events of it. So the stream stands."),
        ([_native("11111", zone="Asia/Tokyo")], 0, "over in Asia/Tokyo. So the report stands in place of the stream."),
    ],
)
def test_rules_in_words(of_cell: list[NativeDays], number: int, told: str) -> None:
    query = query_of("auto", "")
    cell = Cells(query.days, of_cell, NOW, 2)
    assert told in why(rule_of(query, cell, number, streamed=True), query, "meta", cell, number)


@pytest.mark.parametrize(
    ("source", "region", "rule"),
    [
        ("stream", "", Rule.STREAM_ASKED),
        ("auto", "", Rule.STREAM_EMPTY),
        ("report", "", Rule.REPORT_STANDS),
        ("auto", "US", Rule.NO_COUNTRIES),
        ("report", "US-CA", Rule.SUBDIVISION),
    ],
)
def test_rules_of_a_day_that_is_not_over_and_of_which_the_stream_has_nothing(
    source: str, region: str, rule: Rule
) -> None:
    query = query_of(source, region)
    assert rule_of(query, Cells(query.days, [_native("11111")], NOW, 2), 3, streamed=False) is rule


def test_finality_in_words() -> None:
    query = query_of("auto", "")
    cell = Cells(query.days, [_native("11111", zone="Asia/Tokyo")], NOW, 2)
    told = [why_final(query, "meta", cell, n, LOOKBACK) for n in range(4)]
    assert told == [
        "There is a report, and the day ended at least 2 days ago in Asia/Tokyo.",
        "There is a report, and meta may change it for 2 days after the day has ended in Asia/Tokyo.",
        "There is a report, and meta may change it for 2 days after the day has ended in Asia/Tokyo.",
        "The day is not over in Asia/Tokyo.",
    ]
    assert why_final(query, "meta", None, 0, LOOKBACK) == "The day is over, and there is no whole report of it."
    assert why_final(query, "meta", None, 3, LOOKBACK) == "The day is not over in UTC."
    midnight = datetime(2026, 11, 22, 15, tzinfo=UTC)  # in Tokyo, two days after the 20th has ended
    assert expected_final_at(cell, 0) == midnight
