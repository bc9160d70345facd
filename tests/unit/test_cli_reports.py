"""``campaignctl restatements`` and ``reconcile``: what they ask, what they print, and when the second fails as a gate."""

import json
from typing import Any

import pytest

from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok

RESTATED = {
    "day": "2026-10-03", "platform": "meta", "account_id": "100", "level": "campaign", "external_id": "=2384",
    "metric": "spend", "old": 120.5, "new": None, "old_currency": "USD", "currency": "USD", "finality": "settling",
    "fetched_at": "2026-10-05T06:00:00Z", "landed_at": "2026-10-05T06:00:01Z", "cause": "platform",
    "old_definition": "meta-1", "definition": None,
}  # fmt: skip
RESTATEMENTS = {
    "campaign_id": 42, "start_date": "2026-10-01", "end_date": "2026-10-31", "items": [RESTATED], "truncated": True,
}  # fmt: skip


def test_restatements_are_asked_for_and_shown(cli: Cli) -> None:
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        return ok(RESTATEMENTS)

    given = (
        "restatements",
        "--campaign",
        "42",
        "--start-date",
        "2026-10-01",
        "--platform",
        "meta",
        "--platform",
        "google",
    )
    with fake_api(answer) as server:
        shown = cli("--api", server.url, *given)
        assert json.loads(cli("--api", server.url, *given, "-o", "json").stdout) == RESTATEMENTS
        lines = cli("--api", server.url, *given, "-o", "csv").stdout.splitlines()
    assert paths[0] == "/api/v1/campaigns/42/restatements?start_date=2026-10-01&platform=meta&platform=google"
    assert shown.code == 0
    assert "120.5" in shown.stdout
    assert "there are more" in shown.stderr
    assert lines == [
        "day,platform,account_id,external_id,metric,old,new,currency,finality,fetched_at,landed_at,"
        "cause,old_definition,definition",
        "2026-10-03,meta,100,'=2384,spend,120.5,,USD,settling,2026-10-05T06:00:00Z,2026-10-05T06:00:01Z,"
        "platform,meta-1,",
    ]


def _compared(streamed: float, reported: float | None, *, within: bool | None, hints: tuple[str, ...] = ()) -> Any:
    difference = None if reported is None else streamed - reported
    relative = difference / reported if difference is not None and reported else None
    figures = {"streamed": streamed, "reported": reported, "difference": difference, "relative": relative}
    return {**figures, "within": within, "hints": list(hints)}


def _reconciliation(*, within: bool) -> dict[str, Any]:
    clicks = _compared(20, 10, within=within, hints=("lateness", "window"))
    metrics = {"impressions": _compared(0, 0, within=True), "clicks": clicks}
    metrics |= {name: _compared(1, None, within=None) for name in ("conversions", "spend", "revenue")}
    day = {"day": "2026-10-03", "platform": "meta", "covered": True, "finality": "settling", "within": within}
    return {
        "tolerance": 0.05, "within": within, "days_compared": 3, "days_outside": int(not within), "days_not_covered": 2,
        "items": [day | {"metrics": metrics}],
    }  # fmt: skip


@pytest.mark.parametrize("within", [True, False])
def test_reconcile_is_a_gate(*, within: bool, cli: Cli) -> None:
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        return ok(_reconciliation(within=within))

    given = ("reconcile", "--campaign", "42", "--end-date", "2026-10-31", "--tolerance", "0.1")
    with fake_api(answer) as server:
        ran = cli("--api", server.url, *given, "-o", "csv")
    assert paths == ["/api/v1/campaigns/42/reconcile?end_date=2026-10-31&tolerance=0.1"]
    assert ran.code == (0 if within else 1)
    assert ("outside_tolerance" in ran.stderr) is not within
    assert "2 days have no report" in ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "day,platform,metric,streamed,reported,difference,relative,within,hints,finality"
    verdict = "yes" if within else "no"
    assert lines[1] == f"2026-10-03,meta,clicks,20,10,10,1.0,{verdict},lateness window,settling"
    assert len(lines) == 5
