"""Operators' dashboards show figures that exist, by labels that they have. The one for business is run end to end."""

import json
from pathlib import Path
from typing import Any

import pytest

from campaignctl.domain.jobs import JobKind, JobStatus
from tests.deploy.figures import told
from tests.deploy.promql import named
from tests.deploy.support import DEPLOY

BUSINESS = DEPLOY / "grafana" / "business.json"
DASHBOARDS = sorted({*(DEPLOY / "grafana").glob("*.json")} - {BUSINESS})


def board_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_there_is_one_for_each_part() -> None:
    assert {file.stem for file in DASHBOARDS} == {"pipeline", "api", "platforms"}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_query_names_figures_and_labels_that_exist(file: Path) -> None:
    figures = told()
    for expression in expressions(board_of(file)):
        used = named(expression)
        assert used.series, expression
        assert used.series <= figures.keys(), expression
        assert used.labels <= set.union(*(figures[name] for name in used.series)), expression


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_asks_the_source_that_is_chosen(file: Path) -> None:
    board = board_of(file)
    (source,) = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("DS_PROMETHEUS", "datasource", "prometheus")
    for panel in board["panels"]:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_jobs_are_asked_for_by_names_that_they_have() -> None:
    asked = " ".join(expression for file in DASHBOARDS for expression in expressions(board_of(file)))
    assert f'kind="{JobKind.FETCH}"' in asked
    assert f'status=~"{JobStatus.FAILED}|{JobStatus.PARTIAL}"' in asked


def test_a_name_that_does_not_exist_is_found() -> None:
    used = named('sum by (plattform) (rate(campaignctl_events_counted_total{job="campaignctl"}[5m])) > 0.5')
    assert used.series == {"campaignctl_events_counted_total"}
    assert used.series - told().keys()
    assert used.labels == {"plattform", "job"}
    with pytest.raises(ValueError, match="no function"):
        named("ratte(up[5m])")
