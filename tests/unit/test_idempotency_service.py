"""The same request twice is done once and answered twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Conflict, InvalidInput
from campaignctl.ports.metadata import StoredAnswer
from campaignctl.services.idempotency import IdempotencyService
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import StillClock, at_once

ADA, BOB = Actor(1, Role.ADMIN, user_id=1, session_id=1), Actor(1, Role.ADMIN, user_id=2, session_id=2)
ANSWER = StoredAnswer(201, (("Location", "/x"),), b"{}")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def keys(tmp_path: Path, clock: StillClock) -> Iterator[IdempotencyService]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", clock)
    SchemaService([store]).apply(1)
    yield IdempotencyService(store)
    store.close()


def test_the_same_request_gets_the_same_answer(keys: IdempotencyService, clock: StillClock) -> None:
    assert keys.begin(ADA, "k", "f") is None
    with pytest.raises(Conflict) as in_flight:
        keys.begin(ADA, "k", "f")
    assert in_flight.value.code == "idempotency_in_flight"
    keys.finish(ADA, "k", ANSWER)
    assert keys.begin(ADA, "k", "f") == ANSWER
    with pytest.raises(InvalidInput) as reused:
        keys.begin(ADA, "k", "another body")
    assert reused.value.code == "idempotency_key_reused"
    clock.advance(86_400)
    assert keys.begin(ADA, "k", "another body") is None


def test_another_body_is_refused_while_the_first_is_under_way(keys: IdempotencyService) -> None:
    assert keys.begin(ADA, "k", "f") is None
    with pytest.raises(InvalidInput):
        keys.begin(ADA, "k", "another body")


def test_an_error_is_not_kept(keys: IdempotencyService) -> None:
    assert keys.begin(ADA, "k", "f") is None
    keys.abandon(ADA, "k")
    assert keys.begin(ADA, "k", "another body") is None


def test_a_dead_requests_key_is_taken_over(keys: IdempotencyService, clock: StillClock) -> None:
    assert keys.begin(ADA, "k", "f") is None
    clock.advance(61)
    assert keys.begin(ADA, "k", "f") is None


def test_keys_belong_to_one_user(keys: IdempotencyService) -> None:
    operator = Actor.machine_operator()
    for actor in (ADA, BOB, Actor(2, Role.ADMIN, user_id=1, session_id=3), operator, Actor.machine_operator(1)):
        assert keys.begin(actor, "k", "f") is None
        keys.finish(actor, "k", ANSWER)


def test_of_fifty_at_once_one_does_the_work(keys: IdempotencyService) -> None:
    def begin() -> object:
        try:
            return keys.begin(ADA, "k", "f")
        except Conflict as error:
            return error.code

    outcomes = at_once([begin] * 50)
    assert sorted(map(str, outcomes)) == ["None", *["idempotency_in_flight"] * 49]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\tb", "é", "a\x00", "a\x7f", "\ud800"])
def test_what_is_no_key(keys: IdempotencyService, key: str) -> None:
    for attempt in (lambda: keys.begin(ADA, key, "f"), lambda: keys.abandon(ADA, key)):
        with pytest.raises(InvalidInput):
            attempt()


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "'; --", '"quoted"'])
def test_what_is_a_key(keys: IdempotencyService, key: str) -> None:
    assert keys.begin(ADA, key, "f") is None
