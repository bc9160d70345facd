"""SQL as text: where statements end, and where an error is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.domain.sql_text import all_statements, blanked, pointed_at, split_statements, spot_of, tokens_of

HARD = "'\"`;-/*\\ \n#$é1a{}"


@given(st.text(alphabet=HARD, max_size=40))
def test_tokens_are_the_text(text: str) -> None:
    assert "".join(token.text for token in tokens_of(text)) == text


@given(st.lists(st.sampled_from(["SELECT 1", "SELECT ';'", "SELECT `a;b`", "SELECT 1 -- ;\n, 2", "SELECT /* ; */ 1"])))
def test_statements_come_back_as_they_were(statements: list[str]) -> None:
    text = ";\n-- between; them\n".join(statements)
    assert [one.text for one in all_statements(text)] == statements
    whole, rest = split_statements(text + ";")
    assert [one.text for one in whole] == statements and not rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("", ""), (" \n -- only words; here", ""), (";;", ""), ("SELECT 1;", ""), ("SELECT 1; SELECT", "SELECT"),
        ("SELECT ';", "SELECT ';"), ("SELECT /* ;", "SELECT /* ;"), ("SELECT $ ;", ""), ("SELECT 'it''s;' ;", ""),
        ("SELECT 'a\\';';", ""), ("SELECT 1 -- ;", "SELECT 1 -- ;"),
    ],
)  # fmt: skip
def test_what_stands_behind_the_last_semicolon(text: str, rest: str) -> None:
    assert split_statements(text)[1] == rest


def test_statements_know_their_line() -> None:
    text = "SELECT 1;\n\n-- two\nSELECT\n 2;SELECT 3\n;\n/* x\n*/ SELECT 4"
    assert [(one.text, one.line) for one in all_statements(text)] == [
        ("SELECT 1", 1), ("SELECT\n 2", 4), ("SELECT 3", 5), ("SELECT 4", 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "message", "found"),
    [
        ("SELECT 'é', 1 x y", "failed at position 18 (y) (line 1, col 18): y", "y"),
        ("SELECT 1", "failed at position 99", ""),
        ("SELECT nope, nopes", "Unknown identifier `nope`", "nope, nopes"),
        ("SELECT a, a", "Unknown identifier `a`", None),
        ("SELECT 1", "the query was stopped", None),
    ],
)
def test_where_a_complaint_points(statement: str, message: str, found: str | None) -> None:
    at = pointed_at(statement, message)
    assert (at is None) if found is None else statement[at:] == found


def test_a_spot_for_people() -> None:
    text = "SELECT a,\n  b\nFROM c"
    assert spot_of(text, text.index("b")) == (2, 3, "  b")
    assert spot_of(text, len(text)) == (3, 7, "FROM c")
    assert blanked("/* é\n*/") == "     \n  "
