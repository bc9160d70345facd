"""What every SQL console must do and must refuse. A test module gives the fixture ``console`` with nothing in its tables
but three events of ``tests.contracts.analytics_rows``."""

from pathlib import Path
from threading import Thread

import pytest

from campaignctl.domain.sql_text import pointed_at
from campaignctl.errors import InvalidInput
from campaignctl.ports.analytics import SqlColumn, SqlConsole

WRITES = (
    "INSERT INTO events (event_id) VALUES ('a')",
    "INSERT INTO FUNCTION file('{path}') SELECT 1",
    "CREATE TABLE other (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE other (a UInt8)",
    "CREATE DATABASE other",
    "DROP TABLE events",
    "TRUNCATE TABLE events",
    "ALTER TABLE events DELETE WHERE 1",
    "DELETE FROM events WHERE 1",
    "UPDATE events SET clicks = 1 WHERE 1",
    "OPTIMIZE TABLE events FINAL",
    "RENAME TABLE events TO other",
    "EXCHANGE TABLES events AND rollup_1d",
    "DETACH TABLE events",
    "ATTACH TABLE other",
    "UNDROP TABLE events",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "USE default",
    "GRANT ALL ON *.* TO default",
    "CREATE USER other",
    "BACKUP TABLE events TO Disk('a', 'b')",
    "(SELECT 1) INTO OUTFILE '{path}'",
    "SELECT 1 INTO OUTFILE '{path}'",
    "SELECT 1 into /* */ outfile '{path}' FORMAT CSV",
    "WITH 1 AS a SELECT a INTO OUTFILE '{path}' TRUNCATE",
    "SELECT 1; DROP TABLE events",
    "SELECT 1; SELECT 2",
    "SELECT 1) INTO OUTFILE '{path}' -- ",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT * FROM (SELECT 1 SETTINGS max_threads = 8)",
)
REACHES = (
    "SELECT * FROM file('{path}', 'CSV', 'a String')",
    "SELECT * FROM FILE('{path}')",
    "SELECT * FROM `file`('{path}')",
    "SELECT * FROM \"file\" ('{path}')",
    "SELECT * FROM fileCluster('default', '{path}')",
    "SELECT 1 WHERE 1 IN file('{path}', 'CSV', 'a UInt8')",
    "DESCRIBE TABLE file('{path}')",
    "DESCRIBE file('{path}')",
    "SELECT * FROM default.`{path}`",
    "SELECT * FROM `default`.`{path}`",
    "DESCRIBE TABLE default.`{path}`",
    "SELECT * FROM `{path}`",
    "SELECT * FROM filesystem('{path}')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
    "SELECT * FROM remoteSecure('127.0.0.1:1', 'system.one')",
    "SELECT * FROM cluster('default', 'system.one')",
    "SELECT * FROM executable('cat', 'CSV', 'a String')",
    "SELECT * FROM python(secret)",
    "SELECT * FROM input('a String')",
    "SELECT * FROM loop(file('{path}'))",
    "SELECT * FROM merge('default', '.*')",
)
WRONG = (
    "",
    "   -- nothing\n",
    ";",
    "SELEC 1",
    "SELECT",
    "SELECT nothing_of_the_kind FROM events",
    "SELECT * FROM no_such_table",
    "SELECT 'open",
    "SELECT 1 /* open",
    "SELECT $a$text$a$",
    "SELECT 1 \0 DROP TABLE events",
    "SELECT ‘1’",
    "SELECT {missing:UInt8}",
    "SELECT 1 +",
    "SELECT 1 FORMAT CSV",
    "((",
)


class ConsoleContract:
    def test_rows_with_their_columns(self, console: SqlConsole) -> None:
        answer = console.run_sql(
            "SELECT event_id, spend_micros FROM events ORDER BY koff -- the first ones\n;", {}, max_rows=2, timeout_s=20
        )
        assert answer.columns == (SqlColumn("event_id", "String"), SqlColumn("spend_micros", "Int64"))
        assert answer.rows == [["event-0", 1_000_000], ["event-1", 1_000_000]]
        assert answer.truncated

    def test_as_many_rows_as_asked_for_are_all(self, console: SqlConsole) -> None:
        answer = console.run_sql("SELECT koff FROM events ORDER BY koff", {}, max_rows=3, timeout_s=20)
        assert answer.rows == [[0], [1], [2]]
        assert not answer.truncated

    def test_no_rows_have_columns_too(self, console: SqlConsole) -> None:
        answer = console.run_sql("SELECT koff FROM events WHERE 0", {}, max_rows=3, timeout_s=20)
        assert answer.columns == (SqlColumn("koff", "UInt64"),)
        assert answer.rows == []

    def test_values_are_exact(self, console: SqlConsole) -> None:
        values = {
            "18446744073709551615": 18446744073709551615,
            "-9223372036854775808": -9223372036854775808,
            "toDecimal64('123456789.000000001', 9)": "123456789.000000001",
            "0.1": 0.1,
            "nan": None,
            "NULL": None,
            "toDate('2026-10-31')": "2026-10-31",
            "toDateTime64('2026-10-31 01:02:03.456789', 6, 'UTC')": "2026-10-31T01:02:03.456789Z",
            "[1, 2]": [1, 2],
            "'it''s \\n \"é😀\"'": 'it\'s \n "é😀"',
            "';-- /* INTO OUTFILE file(''a'')'": ";-- /* INTO OUTFILE file('a')",
        }
        answer = console.run_sql(f"SELECT {', '.join(values)}", {}, max_rows=1, timeout_s=5)
        assert answer.rows == [list(values.values())]

    def test_parameters_are_values(self, console: SqlConsole) -> None:
        given = {"id": "event-1", "least": "1", "odd": "'; DROP TABLE events --\n\\"}
        asked = "SELECT event_id, {odd:String} FROM events WHERE event_id = {id:String} AND koff >= {least:UInt64}"
        assert console.run_sql(asked, given, max_rows=5, timeout_s=20).rows == [["event-1", given["odd"]]]

    def test_parameters_may_be_compound(self, console: SqlConsole) -> None:
        given = {"ids": "['event-1', 'it\\'s']", "pairs": "[(1, 'meta')]", "offsets": "[1, 2]", "is_so": "true"}
        asked = (
            "SELECT event_id, {ids:Array(String)} FROM events WHERE event_id IN {ids:Array(String)} AND {is_so:Bool}"
            " AND (campaign_id, platform) IN {pairs:Array(Tuple(UInt64, String))} AND koff IN {offsets:Array(UInt64)}"
        )
        assert console.run_sql(asked, given, max_rows=5, timeout_s=20).rows == [["event-1", ["event-1", "it's"]]]

    @pytest.mark.parametrize(
        "statement",
        [
            "SHOW TABLES",
            "DESCRIBE TABLE events",
            "EXPLAIN SELECT 1",
            "EXISTS TABLE events",
            "(SELECT 1)",
            "select 1;;",
            "WITH 1 AS a SELECT a",
            "SELECT * FROM numbers(3)",
            "SELECT 1 UNION ALL SELECT 2",
            "SELECT 7 % 2, 1 # rest\n",
        ],
    )
    def test_reading_is_allowed(self, console: SqlConsole, statement: str) -> None:
        assert console.run_sql(statement, {}, max_rows=100, timeout_s=20).rows

    @pytest.mark.parametrize("statement", [*WRITES, *REACHES])
    def test_everything_else_is_refused(self, console: SqlConsole, statement: str, tmp_path: Path) -> None:
        path = tmp_path / "file.csv"
        path.write_text("secret\n")
        with pytest.raises(InvalidInput) as refused:
            console.run_sql(statement.replace("{path}", str(path)), {}, max_rows=5, timeout_s=20)
        assert refused.value.code == "invalid_query"
        assert "secret" not in refused.value.message.replace("python(secret)", "")
        assert path.read_text() == "secret\n"
        assert list(tmp_path.iterdir()) == [path]
        assert console.run_sql("SELECT count() FROM events", {}, max_rows=1, timeout_s=20).rows == [[3]]

    @pytest.mark.parametrize("statement", WRONG)
    def test_what_is_wrong_is_said_in_a_sentence(self, console: SqlConsole, statement: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            console.run_sql(statement, {}, max_rows=5, timeout_s=20)
        assert refused.value.code == "invalid_query"
        assert 5 < len(refused.value.message) <= 310
        assert "Traceback" not in refused.value.message
        assert "DB::" not in refused.value.message

    def test_a_position_is_that_of_the_text_as_it_was_given(self, console: SqlConsole) -> None:
        statement = "SELECT /* é\n -- */ 1 AS a -- ß\nFROM events GROUP BYE a"
        with pytest.raises(InvalidInput) as refused:
            console.run_sql(statement, {}, max_rows=5, timeout_s=20)
        at = pointed_at(statement, refused.value.message)
        assert at is not None and statement[at:] == "BYE a", refused.value.message
        assert "JSONCompact" not in refused.value.message

    def test_a_marked_statement_can_be_stopped(self, console: SqlConsole) -> None:
        console.stop_sql("nothing0under0it")
        ended: list[str] = []

        def ask(mark: str) -> None:
            with pytest.raises(InvalidInput) as stopped:
                console.run_sql(
                    "SELECT sum(number) FROM numbers(10000000000000)", {}, max_rows=5, timeout_s=60, mark=mark
                )
            ended.append(stopped.value.code)

        asking = Thread(target=ask, args=("one",))
        asking.start()
        while asking.is_alive():  # it may not have begun yet
            console.stop_sql("another")
            console.stop_sql("one")
            asking.join(0.2)
        assert ended == ["query_cancelled"]

    def test_what_takes_too_long_is_stopped(self, console: SqlConsole) -> None:
        for statement in ("SELECT sum(number) FROM numbers(1000000000000)", "SELECT sleep(3)"):
            with pytest.raises(InvalidInput) as stopped:
                console.run_sql(statement, {}, max_rows=5, timeout_s=0.5)
            assert stopped.value.code == "query_limit"

    def test_what_is_too_large_is_stopped(self, console: SqlConsole) -> None:
        for statement in (
            "SELECT groupArray(number) FROM numbers(200000000)",
            "SELECT repeat('x', 1000000) FROM numbers(1000)",
        ):
            with pytest.raises(InvalidInput) as stopped:
                console.run_sql(statement, {}, max_rows=100_000, timeout_s=20)
            assert stopped.value.code == "query_limit"
