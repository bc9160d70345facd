"""``pacing``: what it asks for and prints."""

import json

from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok

BODY = {
    "campaign_id": 42, "at": "2026-10-16T12:00:00Z", "status": "active", "timezone": "UTC", "currency": "EUR",
    "budget_period": "monthly", "start_date": "2026-10-01", "end_date": None,
    "days": {"total": None, "elapsed": 15, "left": None}, "budget": 3100, "spend": 1820.5, "remaining": 1279.5,
    "percent": 58.725806, "expected": None, "daily": 118.4, "projected": None, "projection_method": "a sentence",
    "flags": {"stopped": False, "stale": True, "overspending": None, "underspending": None}, "last_data_at": None,
    "warnings": [{"code": "open_end", "message": "the end is open"}],
}  # fmt: skip


def test_pacing_is_asked_for_and_shown(cli: Cli) -> None:
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        return ok(BODY)

    given = ("pacing", "--campaign", "42", "--start-date", "2026-10-01", "--platform", "meta")
    with fake_api(answer) as server:
        shown = cli("--api", server.url, *given)
        assert json.loads(cli("--api", server.url, *given, "-o", "json").stdout) == BODY
    assert paths[0] == "/api/v1/campaigns/42/pacing?start_date=2026-10-01&platform=meta"
    assert shown.code == 0
    assert "1820.5" in shown.stdout and "flags.stale" in shown.stdout
    assert "warning[open_end]" in shown.stderr
