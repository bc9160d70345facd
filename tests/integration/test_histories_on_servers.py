"""Random histories on real servers: whoever is asked, and from whichever level, the answer is that of the model.

Two API processes share Redis. Each history is an organization of its own. After each of its writes every question is
asked of one process twice and then of the other one twice, and one of them by the command line as well. Who waits for the
write is told of it, and no process goes back behind what it has answered: so all of these answers are the model's.

Needs all four servers; ``CA_TEST_HISTORIES`` asks for more histories than the few that every run takes.
"""

import os
import random
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from campaignctl.api_client import ApiClient
from campaignctl.errors import InvalidInput
from tests.model.histories import History, Step, random_history
from tests.model.questions import random_questions, request
from tests.model.reference import Model
from tests.support.answers import Json, decoded, differences
from tests.support.deployment import needs_servers, own_places, running, wait_until_ready
from tests.support.program import Program
from tests.support.thread import Client, add_page

pytestmark = needs_servers

HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "4"))
AT_ONCE = 2
QUESTIONS = 6
PARTITIONS = 4
RETENTION_DAYS = 400
"""That of the model."""


@dataclass
class Installation:
    """Two API processes and a worker on the servers, and what has been asked of them."""

    urls: list[str]
    home: Path
    campaigns: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    """By whom answers were given, as ``X-Cache`` says."""

    def member(self, name: str) -> str:
        """The token of somebody new, who has an organization of their own."""
        credentials = {"email": f"{name}@example.com", "password": secrets.token_urlsafe(24)}
        with ApiClient(self.urls[0]) as anyone:
            anyone.post("/api/v1/auth/register", credentials)
            return str(anyone.post("/api/v1/auth/login", credentials).json()["access_token"])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        settings = stack.enter_context(own_places())
        settings |= {"CA_KAFKA_EVENTS_PARTITIONS": str(PARTITIONS), "CA_EVENTS_RETENTION_DAYS": str(RETENTION_DAYS)}
        program = Program(home, settings)
        program.run("init-schema")
        stack.enter_context(running(program, "work", "counting the events", "work"))
        urls = []
        for name in ("one", "other"):
            log = stack.enter_context(running(program, name, "serving on", "serve", "--port", "0"))
            found = re.search(r"serving on (\S+)", log.read_text())
            assert found is not None
            urls.append(found[1])
            wait_until_ready(found[1])
        yield Installation(urls, home)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_every_answer_is_that_of_the_model(installation: Installation, first: int) -> None:
    wrong: list[str] = []
    for seed in range(first, min(first + AT_ONCE, HISTORIES)):
        with _Play(installation, seed) as play:
            wrong += play.run()
    assert not wrong, "\n".join(wrong[:30])
    assert installation.levels.keys() >= {"miss", "l1", "l2"}, installation.levels


class _Play:
    """One history, with the model beside it."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self._installation, self._seed = installation, seed
        self._rng = random.Random(f"servers {seed}")
        first = installation.campaigns + 1
        size = self._rng.choice((40, 80, 160))
        self._history = random_history(seed, now=datetime.now(UTC), size=size, first_campaign=first)
        installation.campaigns += len(self._history.campaigns)
        self._shift = first - 1
        self._model = _model_of(self._history, first)
        self._wrong: list[str] = []
        token = installation.member(f"history-{seed}-{secrets.token_hex(4)}")
        self._apis = [ApiClient(url, token, timeout_s=60.0) for url in installation.urls]
        self._commands = Program(installation.home, {"CA_TOKEN": token, "CA_API_URL": installation.urls[1]})

    def __enter__(self) -> "_Play":
        return self

    def __exit__(self, *_: object) -> None:
        for api in self._apis:
            api.close()

    def run(self) -> list[str]:
        """Everything that differs from the model."""
        client = Client(self._apis[0])
        ids = client.create(self._history.campaigns)
        assert ids == [self._shift + number for number in range(1, len(ids) + 1)], ids
        client.put_rates(self._history.rates)
        questions = [
            {**question, "campaigns": [self._shift + number for number in question["campaigns"]]}
            for question in random_questions(self._rng, self._history, self._history.now, QUESTIONS)
        ]
        for steps in _writes(self._rng, self._history.steps):
            position = self._write(client, steps)
            for question in questions:
                self._ask(question, position)
            self._ask_by_command(self._rng.choice(questions))
        return [f"seed {self._seed}: {text}" for text in self._wrong]

    def _write(self, client: Client, steps: Sequence[Step]) -> str:
        refusals = [self._model.feed(step.record, step.log_time_ms) for step in steps]
        sent = client.send([step.record for step in steps])
        expected = [(index, code) for index, code in enumerate(refusals) if code is not None]
        if sent.refused != expected:
            self._wrong.append(f"refused {sorted(set(sent.refused) ^ set(expected))[:6]} (lines that differ)")
        client.wait(sent.positions, self._shift + 1)
        return sent.positions[-1]

    def _ask(self, question: Json, position: str) -> None:
        path, params = request(question)
        for process, api in enumerate(self._apis):
            self._compare(f"process {process}", question, api, path, {**params, "after": position})
            self._compare(f"process {process} again", question, api, path, params)

    def _compare(self, how: str, question: Json, api: ApiClient, path: str, params: Mapping[str, Any]) -> None:
        asked_at = datetime.now(UTC)
        found = self._answer(api, path, params)
        texts = _differing(found, self._model.answer(question, asked_at))
        if texts and not _differing(found, self._model.answer(question, datetime.now(UTC))):
            return  # a day or an hour began meanwhile
        self._wrong += [f"{how}: {question}: {text}" for text in texts[:5]]

    def _answer(self, api: ApiClient, path: str, params: Mapping[str, Any]) -> Json:
        """With the rows of all its pages."""
        try:
            response = api.get(path, params)
        except InvalidInput as error:
            return {"error": 422, "fields": [one.field for one in error.errors]}
        self._installation.levels[response.headers["X-Cache"]] += 1
        answer: Json = decoded(response.content)
        cursor = answer.get("next_cursor")
        while cursor is not None:
            page = decoded(api.get(path, {**params, "cursor": cursor}).content)
            add_page(answer, page)
            cursor = page["next_cursor"]
        return answer

    def _ask_by_command(self, question: Json) -> None:
        """The command prints the process's answer as it is."""
        path, params = request(question)
        if ("campaign" in params and len(question["campaigns"]) == 1) or "colour" in params:
            return  # there is no such flag; one campaign has a route of its own
        flags = ["--campaign", ",".join(map(str, question["campaigns"]))]
        for name, value in params.items():
            for one in [value] if isinstance(value, str) else value:
                flags += [] if name == "campaign" else [f"--{name.replace('_', '-')}", one]
        expected = self._model.answer(question, datetime.now(UTC))
        if "error" in expected:
            self._commands.run("insights", *flags, "-o", "json", expect=2)
            return
        told = self._commands.run("insights", *flags, "-o", "json").json()
        if told != decoded(self._apis[1].get(path, params).content):
            self._wrong.append(f"{question}: the command prints another answer")


def _model_of(history: History, first: int) -> Model:
    model = Model()
    for number, campaign in enumerate(history.campaigns, first):
        model.add_campaign(number, timezone=campaign["timezone"], currency=campaign["currency"])
    model.add_rates(history.rates)
    return model


def _writes(rng: random.Random, steps: Sequence[Step]) -> list[Sequence[Step]]:
    """The steps in one to three runs."""
    cuts = sorted(rng.sample(range(1, len(steps)), rng.choice((0, 1, 1, 2))))
    return [steps[start:end] for start, end in zip([0, *cuts], [*cuts, len(steps)], strict=True)]


def _differing(found: Json, expected: Json) -> list[str]:
    if "error" not in found and "error" not in expected:
        return differences(found, expected)
    if set(found.get("fields", ())) & set(expected.get("fields", ())):
        return []
    return [f"{found.get('fields', 'an answer')} instead of {expected.get('fields', 'an answer')}"]
