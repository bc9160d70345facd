"""The start of a program that stays: what it waits for, and what ends it."""

from collections.abc import Callable

import pytest

from campaignctl.errors import CampaignctlError, ConfigurationError, SchemaMismatch, Unavailable
from campaignctl.services.startup import Startup
from tests.fakes.clock import ManualClock


class Stores:
    """Three stores and their schema; each has what it raises, None for being well."""

    def __init__(self) -> None:
        self.wrong: dict[str, CampaignctlError | None] = dict.fromkeys(("metadata", "analytics", "event_log", "schema"))
        self.clock = ManualClock()
        probes = {name: self._probe(name) for name in ("metadata", "analytics", "event_log")}
        self.startup = Startup(probes, self._probe("schema"), self.clock)

    def _probe(self, name: str) -> Callable[[], None]:
        def probe() -> None:
            error = self.wrong[name]
            if error is not None:
                raise error

        return probe


def _away(name: str) -> Unavailable:
    return Unavailable("away", service=name)


def test_all_well_is_no_waiting() -> None:
    told: list[list[str]] = []
    Stores().startup.wait(told.append)
    assert told == []


def test_stores_that_are_away_are_waited_for_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores()
    for name in ("metadata", "analytics", "event_log"):
        stores.wrong[name] = _away(name)
    steps = iter(
        [
            {"event_log": Unavailable("none", service="event_log", code="topic_missing")},
            {"metadata": ConfigurationError("there is no such database")},
            {"analytics": SchemaMismatch("no tables"), "schema": SchemaMismatch("old")},
            {"metadata": None},
            dict.fromkeys(stores.wrong),
        ]
    )
    told: list[list[str]] = []
    monkeypatch.setattr(stores.clock, "sleep", lambda _: stores.wrong.update(next(steps)))
    stores.startup.wait(told.append)
    assert told == [["metadata", "analytics", "event_log"]]
    assert next(steps, None) is None


def test_a_schema_that_is_wrong_while_all_answer_ends_the_start() -> None:
    stores = Stores()
    stores.wrong |= {
        "event_log": Unavailable("none", service="event_log", code="topic_missing"),
        "schema": SchemaMismatch("the event log lacks a topic"),
    }
    with pytest.raises(SchemaMismatch):
        stores.startup.look()


def test_a_refused_configuration_ends_the_start_whatever_else_is_away() -> None:
    stores = Stores()
    stores.wrong |= {"metadata": _away("metadata"), "analytics": ConfigurationError("the password is wrong")}
    with pytest.raises(ConfigurationError):
        stores.startup.wait(lambda away: None)
