"""The loader of named statements, and the files it is pointed at."""

import pytest

from campaignctl.adapters.sql_files import load_statements, parse_statements

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
