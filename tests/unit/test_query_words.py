"""What the query shell offers at the cursor, which is where the bar stands."""

import pytest

from campaignctl.cli.query_words import COMMANDS, Catalogue, ColumnOf, candidates

CATALOGUE = Catalogue(
    {
        "events": [ColumnOf("clicks", "Int64"), ColumnOf("campaign_id", "UInt64"), ColumnOf("platform", "String")],
        "event_conflicts": [ColumnOf("campaign_id", "UInt64"), ColumnOf("value", "String")],
    },
    functions=["sum", "sumIf", "countIf"],
    keywords=["SELECT", "FROM", "WHERE", "GROUP BY", "SUSPEND", "JOIN", "ON", "AS"],
)


def offered(line: str) -> list[str]:
    text = line.replace("|", "")
    return [word.text for word in candidates(text, line.index("|"), CATALOGUE)[1]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SEL|", ["SELECT"]), ("sel|", ["select"]), ("SELECT su|", ["suspend", "sum", "sumIf"]),
        ("SELECT cl| FROM events", ["clicks"]), ("SELECT c| FROM events", ["clicks", "campaign_id", "countIf"]),
        ("SELECT cl|", ["clicks"]), ("SELECT platform, v|", ["value"]),
        ("SELECT * FROM ev|", ["events", "event_conflicts"]), ("SELECT * FROM |", ["events", "event_conflicts"]),
        ("describe table |", ["events", "event_conflicts"]), ("SELECT e.| FROM events e", ["clicks", "campaign_id", "platform"]),
        ("SELECT e.c| FROM events AS e", ["clicks", "campaign_id"]), ("SELECT events.p| FROM events", ["platform"]),
        ("SELECT x.| FROM events e", []), ("SELECT v| FROM events JOIN event_conflicts", ["value"]),
        ("SELECT 'cl|", []), ("SELECT 1 -- cl|", []), ("SELECT 1 /* cl|", []), ("SELECT /* x */ cl| FROM events", ["clicks"]),
        ("\\d ev|", ["events", "event_conflicts"]), ("\\o |", ["table", "json", "csv", "ndjson"]), ("\\x |", ["on", "off"]),
        ("\\t|", ["\\timing"]), ("\\i |", []),
    ],
)  # fmt: skip
def test_what_is_offered(line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_every_command_is_offered() -> None:
    assert offered("\\|") == list(COMMANDS)
    assert offered("|")[:2] == ["SELECT", "FROM"]
    assert candidates("SELECT cl FROM events", 9, CATALOGUE)[0] == "cl"
