"""Whole event files through the program: every refused line with its reason, every answer exactly as it must be."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from tests.support.answers import decoded, differences
from tests.support.program import Program, Server
from tests.support.scenarios import Question, Scenario, load_scenario, scenario_folders

RETENTION_DAYS = "30000"
"""The files' events do not move with the calendar: their answers stay the same as long as nothing is too old."""
CLI_QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario that has been sent to a server that still runs."""

    scenario: Scenario
    program: Program
    server: Server


@pytest.fixture(scope="module", params=scenario_folders(), ids=lambda folder: folder.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    scenario = load_scenario(request.param)
    program = Program(
        tmp_path_factory.mktemp(scenario.folder.name), {"CA_EVENTS_RETENTION_DAYS": RETENTION_DAYS, "CA_OUTPUT": "json"}
    )
    with program.serving() as server:
        assert server.client.create(scenario.campaigns) == list(range(1, len(scenario.campaigns) + 1))
        program.run("rates", "import", str(scenario.folder / "rates.json"))
        code = 6 if scenario.refused else 0
        sent = program.run("events", "send", str(scenario.events_file), "--wait", expect=code).json()
        assert sent["sent"] == len(scenario.lines)
        assert sent["accepted"] == len(scenario.lines) - len(scenario.refused)
        assert sent["rejected"] == scenario.refused_by_reason
        yield Played(scenario, program, server)


def test_every_answer_is_exact(played: Played) -> None:
    wrong = []
    for question in played.scenario.questions:
        answer = played.server.client.ask(question.path, question.params)
        wrong += [f"{question}: {text}" for text in differences(answer, question.expected)[:5]]
    assert not wrong, "\n".join(wrong[:40])


def test_the_command_prints_what_the_route_answers(played: Played) -> None:
    for question in played.scenario.questions[:CLI_QUESTIONS]:
        printed = played.program.run("insights", *_flags(question), "-o", "json").out
        assert not differences(decoded(printed.encode()), question.expected)


def test_every_refused_line_is_a_dead_letter_with_its_reason(played: Played) -> None:
    scenario = played.scenario
    expected = Counter((code, scenario.lines[line]) for line, code in scenario.refused)
    assert dead_letters(played.program.data_dir) == expected


def test_sending_the_file_again_changes_no_answer(played: Played) -> None:
    scenario, client = played.scenario, played.server.client
    sent = client.send(scenario.lines)
    assert sent.refused == scenario.refused
    client.wait(sent.positions, 1)
    for question in scenario.questions[::7]:
        assert not differences(client.ask(question.path, question.params), question.expected), question


def dead_letters(data_dir: Path) -> Counter[tuple[str, bytes]]:
    """Reason and original bytes of every dead letter in the log of a data directory."""
    log = EmbeddedEventLog(data_dir / "event_log.sqlite", SystemClock())
    found: Counter[tuple[str, bytes]] = Counter()
    try:
        for partition, kept in log.watermarks("campaign-events-dlq").items():
            offset = kept.start
            while offset < kept.end:
                batch = log.read("campaign-events-dlq", partition, offset, 10_000)
                offset = batch.next_offset
                for headers, value in zip(batch.headers, batch.values, strict=True):
                    found[dict(headers)["code"].decode(), value] += 1
    finally:
        log.close()
    return found


def _flags(question: Question) -> list[str]:
    """A question as the flags of ``campaignctl insights``."""
    params = dict(question.params)
    number = question.path.split("/")[4] if "/campaigns/" in question.path else str(params.pop("campaign"))
    flags = ["--campaign", number]
    for name, value in params.items():
        for one in value if isinstance(value, list) else [value]:
            flags += [f"--{name.replace('_', '-')}", str(one)]
    return flags
