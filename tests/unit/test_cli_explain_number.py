"""``explain`` of a number and of a metric: what it asks, what it prints, and how its options fit together."""

import json
import shlex
from typing import Any

import pytest

from tests.golden import matches_golden
from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok

_CPC = {
    "meaning": "What a click cost.",
    "formula": "spend / clicks; from sums, rounded half-even to 6 places, null where the divisor is not above 0",
    "unit": "money in the asked currency for each click",
    "stream": "",
    "platforms": {},
}


def _amounts(spend: float | None, clicks: int, currency: str = "USD") -> list[dict[str, Any]]:
    return [
        {"metric": "spend", "currency": currency, "value": spend},
        {"metric": "clicks", "currency": None, "value": clicks},
    ]


def _version(number: int, spend: float, fetched_at: str, *, stands: bool) -> dict[str, Any]:
    return {
        "version": number, "stands": stands, "fetched_at": fetched_at, "landed_at": fetched_at, "currency": "EUR",
        "definition": "meta-1", "amounts": _amounts(spend, 40, "EUR"),
    }  # fmt: skip


META: dict[str, Any] = {
    "platform": "meta",
    "source": "report",
    "rule": "report_stands",
    "why": "A fetch has covered this day, and the day is over in Europe/Berlin. So the report stands in place of the"
    " stream.",
    "amounts": _amounts(22.5, 40, "EUR"),
    "finality": "settling",
    "why_final": "There is a report, and meta may change it for 28 days after the day has ended in Europe/Berlin.",
    "expected_final_at": "2026-10-30T23:00:00Z",
    "stream": {
        "events": 3,
        "events_in_sums": 4,
        "expired": False,
        "first_event_at": "2026-10-01T06:30:00.123456Z",
        "last_event_at": "2026-10-01T21:00:00Z",
        "amounts": _amounts(12.345678, 3),
        "log": [
            {"topic_id": 1, "partition": 2, "first_offset": 100, "last_offset": 1234, "events": 3,
             "last_taken_at": "2026-10-02T00:00:01Z"}
        ],
    },
    "natives": [
        {
            "account_id": "1002003", "level": "campaign", "external_id": "2384\u001b[31m",
            "timezone": "Europe/Berlin", "covered_at": "2026-10-05T06:00:00Z", "covered_by_country_at": None,
            "seen": True,
            "rows": [
                {"region": "", "currency": "EUR", "definition": "meta-1", "fetched_at": "2026-10-05T06:00:00Z",
                 "amounts": _amounts(22.5, 40, "EUR")}
            ],
            "versions": [
                _version(2, 22.5, "2026-10-05T06:00:00Z", stands=True),
                _version(1, 20.25, "2026-10-02T06:00:00Z", stands=False),
            ],
        },
    ],
    "natives_left_out": 0,
}  # fmt: skip
GOOGLE: dict[str, Any] = {
    "platform": "google",
    "source": None,
    "rule": "not_fetched",
    "why": "No fetch has covered this day of google. So there is nothing to answer with.",
    "amounts": _amounts(0, 0),
    "finality": "provisional",
    "why_final": "The day is over, and there is no whole report of it.",
    "expected_final_at": None,
    "stream": {"events": 0, "events_in_sums": None, "expired": True, "first_event_at": None, "last_event_at": None,
               "amounts": [], "log": []},
    "natives": [],
    "natives_left_out": 2,
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "campaign_id": 42,
    "date": "2026-10-01",
    "metric": "cpc",
    "asked": {"platforms": ["google", "meta"], "regions": [], "timezone": "Asia/Kolkata", "currency": "USD",
              "source": "report", "as_of": None},
    "value": 0.61875,
    "source": "report",
    "finality": "provisional",
    "null_because": [],
    "definition": _CPC,
    "terms": [
        {"metric": "spend", "role": "dividend", "value": 24.75, **_CPC},
        {"metric": "clicks", "role": "divisor", "value": 40, **_CPC},
    ],
    "conversions": [
        {"metric": "spend", "day": "2026-10-01", "currency": "EUR", "amount": 22.5, "base": "USD", "rate": 1.1,
         "rate_date": "2026-09-29", "value": 24.75},
    ],
    "max_rate_age_days": 7,
    "platforms": [GOOGLE, META],
    "definitions": [
        {"version": "meta-1", "platform": "meta", "actions": ["lead", "purchase"]},
        {"version": "meta-list-1", "platform": "meta", "actions": None},
    ],
    "conflicts": 1,
    "warnings": [{"code": "mixed_currency", "message": "Amounts were converted."}],
    "statements": [
        {"file": "sql/clickhouse/queries/insights.sql", "name": "a", "sql": "SELECT {a:String} != 'b'",
         "params": {"a": "it's $HOME", "names": "['c']"}},
    ],
}  # fmt: skip
ASKED = ("explain", "--campaign", "42", "--date", "2026-10-01", "--metric", "cpc")


def test_a_number_is_explained_at_80_columns(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        return ok(ANSWER)

    monkeypatch.setenv("COLUMNS", "80")
    with fake_api(answer) as server:
        ran = cli("--api", server.url, *ASKED, "--platform", "meta", "--platform", "google", "--as-of", "2026-11-01Z")
        as_json = cli("--api", server.url, *ASKED, "-o", "json")
        as_csv = cli("--api", server.url, *ASKED, "-o", "csv")
        as_lines = cli("--api", server.url, *ASKED, "-o", "ndjson")
    assert paths[0] == (
        "/api/v1/campaigns/42/explain?metric=cpc&date=2026-10-01&platform=meta&platform=google&as_of=2026-11-01Z"
    )
    assert ran.code == 0
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert matches_golden("cli/explain-80.txt", ran.stdout)
    assert "warning[mixed_currency]: Amounts were converted." in ran.stderr
    assert json.loads(as_json.stdout) == ANSWER
    assert as_csv.stdout.splitlines()[0] == "platform,source,rule,finality,metric,currency,value,events,why"
    assert as_csv.stdout.splitlines()[3].startswith("meta,report,report_stands,settling,spend,EUR,22.5,3,")
    assert [json.loads(line)["platform"] for line in as_lines.stdout.splitlines()] == ["google", "meta"]


def test_a_null_says_why(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lacking = {**ANSWER["conversions"][0], "rate": None, "rate_date": None, "value": None}
    why = [{"code": "missing_rate", "message": "There is no rate."}]
    changed = ANSWER | {"value": None, "null_because": why, "conversions": [lacking]}
    with fake_api(lambda _: ok(changed)) as server:
        shown = cli("--api", server.url, *ASKED).stdout
    assert "  null   source: report" in shown
    assert "null because of missing_rate: There is no rate." in shown
    assert "22.5 EUR of spend cannot be converted: there is no rate into USD" in shown


def test_statements_are_printed_as_commands(cli: Cli) -> None:
    with fake_api(lambda _: ok(ANSWER)) as server:
        shown = cli("--api", server.url, *ASKED, "--sql").stdout
    assert shown.startswith("# a in sql/clickhouse/queries/insights.sql\ncampaignctl query \\\n")
    assert shlex.split(shown.partition("\n")[2].replace("\\\n", "")) == [
        "campaignctl", "query", "--param", "a=it's $HOME", "--param", "names=['c']", "SELECT {a:String} != 'b'",
    ]  # fmt: skip


def test_a_metric_is_explained(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli("explain", "--metric", "roas")
    assert (shown.code, shown.stderr) == (0, "")
    assert shown.stdout.startswith("roas\n")
    assert "revenue / spend" in shown.stdout and "costInLocalCurrency" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    told = json.loads(cli("explain", "--metric", "spend", "-o", "json").stdout)
    assert told["terms"][0]["platforms"].keys() == {"meta", "google", "linkedin", "tiktok"}
    assert "spend,tiktok," in cli("explain", "--metric", "cpc", "-o", "csv").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("not_found", "--metric", "spend"), "CODE: cannot be combined"),
        (("not_found", "--sql"), "CODE: cannot be combined"),
        (("--date", "2026-10-01", "--metric", "spend"), "--campaign: is needed"),
        (("--metric", "spend", "--sql"), "--campaign: is needed"),
        (("--campaign", "1"), "--date: is needed to explain a number; --metric: is needed"),
        (("--campaign", "1", "--date", "2026-10-01"), "--metric: is needed"),
        (("--metric", "spent"), "did you mean spend?"),
        (("--campaign", "1", "--date", "x", "--metric", "spend", "--sql", "-o", "csv"), "--sql: prints commands"),
    ],
)
def test_options_that_do_not_fit_together(options: tuple[str, ...], said: str, cli: Cli) -> None:
    ran = cli("explain", *options)
    assert (ran.code, ran.stdout) == (2, "")
    assert said in ran.stderr
