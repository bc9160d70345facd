"""The dashboard for business asks the API questions that it answers, and shows members that the answers have."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.program import REPOSITORY, Program, Server

BOARD = json.loads((REPOSITORY / "deploy" / "grafana" / "business.json").read_text())
TARGETS = [(panel["title"], target) for panel in BOARD["panels"] for target in panel["targets"]]
NOW = datetime.now(UTC)
VARIABLES = {
    "${__from:date:YYYY-MM-DD}": (NOW - timedelta(days=29)).date().isoformat(),
    "${__to:date:YYYY-MM-DD}": NOW.date().isoformat(),
    "${currency}": "USD",
    "${timezone}": "UTC",
    "${campaign}": "1",
}
"""What Grafana puts in."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Program(tmp_path_factory.mktemp("business")).serving() as started:
        campaign = {"name": "Spring", "currency": "USD", "timezone": "UTC", "budget": 100, "budget_period": "monthly"}
        other = {"name": "Abroad", "currency": "EUR", "timezone": "UTC"}
        ids = started.client.create([campaign, other])
        event = {"platform": "meta", "event_time": NOW.isoformat(timespec="seconds"), "impressions": 10, "spend": "2.5"}
        lines = [json.dumps(event | {"event_id": str(one), "campaign_id": one}).encode() for one in ids]
        started.client.wait(started.client.send(lines).positions, ids[0])
        yield started


def filled(text: str) -> str:
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


@pytest.mark.parametrize("target", [target for _, target in TARGETS], ids=[title for title, _ in TARGETS])
def test_a_panel_shows_what_the_answer_has(server: Server, target: dict[str, Any]) -> None:
    parameters = {one["key"]: filled(one["value"]) for one in target["url_options"]["params"]}
    answer = server.client.ask(filled(target["url"]), parameters)
    found = answer[target["root_selector"]] if target["root_selector"] else answer
    rows = found if isinstance(found, list) else [found]
    assert rows
    for row in rows:
        for column in target["columns"]:
            value = row
            for member in column["selector"].split("."):
                assert member in value, column["selector"]
                value = value[member]
            if column["type"] == "number" and value is not None:
                float(value)


def test_every_panel_asks_the_source_that_is_chosen() -> None:
    source, *texts = BOARD["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "yesoreyeram-infinity-datasource")
    assert {f"${{{text['name']}}}" for text in texts} < VARIABLES.keys()
    for panel in BOARD["panels"]:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": source["query"], "uid": f"${{{source['name']}}}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
