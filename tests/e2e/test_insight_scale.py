"""Ten thousand campaigns in one question: the statements and their parameters are bounded, whatever their number."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.analytics.form_fields import FIELD_BYTES, split_arrays
from campaignctl.adapters.metadata.sqlite_file import SQLiteTransaction
from campaignctl.cli.embedded_worker import working
from campaignctl.domain.platforms import Platform
from tests.e2e.rest import Rest, User, rest_over
from tests.support.campaigns import add_campaigns

CAMPAIGNS = 10_000
RANGE = "start_date=2026-11-01&end_date=2026-11-30"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    home: Path = tmp_path_factory.mktemp("large")
    with rest_over(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def owner(large: Rest) -> User:
    """Of ten thousand linked campaigns, some with events."""
    owner = large.user()
    (first,) = large.app.metadata.campaign_facts([owner.campaign(name="first")["id"]]).values()
    add_campaigns(large.app, first.organization_id, CAMPAIGNS - 1)
    events = [
        {
            "event_id": platform,
            "campaign_id": id_,
            "platform": platform,
            "event_time": "2026-11-02T00:00:00Z",
            "clicks": 1,
        }
        for id_ in range(first.id, first.id + CAMPAIGNS, 500)
        for platform in Platform
    ]
    with working(large.app):  # what it asks for its own purposes is not to be counted
        position = owner.ask("POST", "/events", json=events).json()["position"]
        assert owner.ask("GET", f"/insights?{RANGE}&after={position}").status_code == 200
    return owner


class Asked:
    """What was asked of the stores."""

    def __init__(self) -> None:
        self.metadata: list[str] = []
        self.analytics: list[tuple[str, Mapping[str, object]]] = []

    @property
    def largest_field_bytes(self) -> int:
        fields = [split_arrays(statement, parameters)[1] for statement, parameters in self.analytics]
        return max(len(str(value)) for one in fields for value in one.values())


@pytest.fixture
def asked(large: Rest, monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    clients = type(large.app.analytics._clients)  # type: ignore[attr-defined]
    right_all, right_read = SQLiteTransaction.all, clients.read

    def count_all(self: Any, statement: str, /, **parameters: Any) -> Any:
        if statement != "fetch_organizations":  # the look at its health
            asked.metadata.append(statement)
        return right_all(self, statement, **parameters)

    def count_read(self: Any, statement: str, parameters: Mapping[str, object], **how: Any) -> Any:
        # Not the look at its health, nor that for parts to clear away.
        if parameters and "system.parts" not in statement:
            asked.analytics.append((statement, parameters))
        return right_read(self, statement, parameters, **how)

    monkeypatch.setattr(SQLiteTransaction, "all", count_all)
    monkeypatch.setattr(clients, "read", count_read)
    return asked


@pytest.mark.parametrize(
    ("choice", "campaigns", "clicks"),
    [("", CAMPAIGNS, 80), ("&q=bulk", CAMPAIGNS - 1, 76), ("&q=BULK&status=active", CAMPAIGNS // 2 - 1, 76)],
)
def test_ten_thousand_campaigns_are_one_question(
    owner: User, asked: Asked, choice: str, campaigns: int, clicks: int
) -> None:
    path = f"/insights?{RANGE}{choice}&group_by=campaign&granularity=total&sort=clicks&limit=10"
    answer = owner.ask("GET", path)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["campaign_ids"]) == campaigns
    assert (body["totals"]["clicks"], [row["clicks"] for row in body["rows"]]) == (clicks, [4] * 10)
    assert len(asked.metadata) <= 8, asked.metadata
    assert len(asked.analytics) <= 12, [statement[:60] for statement, _ in asked.analytics]
    assert asked.largest_field_bytes <= FIELD_BYTES
    asked.metadata.clear()
    asked.analytics.clear()
    assert owner.ask("GET", path).content == answer.content
    assert len(asked.metadata) <= 3, asked.metadata  # who asks, and what the campaigns are: the rest was kept
    assert not asked.analytics
