"""The loader of named statements, and the files it is pointed at."""

import re

import pytest

from campaignctl.adapters.sql_files import as_asked, load_statements, parameters_of, parse_statements

TEXT = """-- About the whole file: not a statement.

-- first_one
-- What it does,
-- in two lines.
SELECT a, -- not a name
       b
FROM t

WHERE x = :x;
-- second
SELECT {n:UInt8}
-- third

-- described later
SELECT 3;
"""


def test_statements_come_by_name_in_order_without_description_and_semicolon() -> None:
    statements = parse_statements(TEXT, source="x.sql")
    assert list(statements) == ["first_one", "second"]
    assert statements["first_one"] == "SELECT a, -- not a name\n       b\nFROM t\n\nWHERE x = :x"
    assert statements["second"].startswith("SELECT {n:UInt8}\n-- third")  # not after a blank line or a semicolon


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- a\nSELECT 1;\n\n-- a\nSELECT 2;", "a is there twice"),
        ("-- a\n-- only words\n\n-- b\nSELECT 2;", "a is empty"),
        ("SELECT 1;", "before the first statement's name"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"x.sql: .*{message}"):
        parse_statements(text, source="x.sql")


def test_files_are_found_in_the_package() -> None:
    assert "insert_chunk" in load_statements("event_log", "queries.sql")
    with pytest.raises(FileNotFoundError):
        load_statements("event_log", "nothing.sql")


CONDITIONAL = """SELECT a, -- a remark
    b, -- if by_b
    0 AS b, -- if not by_b
    c
FROM t -- if there are any
WHERE x = {x:UInt8} AND y IN {y:Array(String)} -- if by_b"""


def test_conditional_lines_belong_to_who_asks_for_them() -> None:
    assert as_asked(CONDITIONAL, ()) == "SELECT a, -- a remark\n    0 AS b,\n    c\nFROM t -- if there are any"
    asked = as_asked(CONDITIONAL, {"by_b", "something_else"})
    assert asked.splitlines()[1:3] == ["    b,", "    c"]
    assert asked.endswith("WHERE x = {x:UInt8} AND y IN {y:Array(String)}")


def test_parameters_are_those_of_the_text() -> None:
    asked = as_asked(CONDITIONAL, ["by_b"])
    assert parameters_of(f"{asked} OR z = {{x:UInt8}}") == ("x", "y")
    assert parameters_of(as_asked(CONDITIONAL, [])) == ()


def test_the_conditions_of_insights_are_those_that_questions_ask() -> None:
    statements = load_statements("clickhouse", "queries", "insights.sql")
    conditions = set(re.findall("-- if (?:not )?([a-z_]+)", "\n".join(statements.values())))
    groups = {f"by_{name}" for name in ("campaign", "platform", "region", "ad_group", "ad", "device")}
    assert conditions == groups | {"each_day", "several_days", "some_platforms", "some_regions", "left_out", "as_of"}
