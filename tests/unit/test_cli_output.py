"""What is printed: exact, aligned, and never a way for data to reach the terminal, the spreadsheet or the markup."""

import io
import json
from decimal import Decimal

import pytest

from campaignctl.cli import insights_view
from campaignctl.cli.formats import Format
from campaignctl.cli.output import Column, Kind, Output, Table, as_csv, as_table, decode
from campaignctl.cli.plot import bars
from tests.golden import matches_golden

ROW = {
    "period_start": "2026-09-28",
    "period_end": "2026-10-04",
    "partial": True,
    "platform": "meta",
    "impressions": 120_000,
    "clicks": 2_400,
    "conversions": 31.5,
    "spend": 812.345678,
    "revenue": 2400.5,
    "ctr": 0.02,
    "cpc": 0.338477,
    "cpm": 6.769547,
    "cpa": 25.788752,
    "cvr": 0.013125,
    "roas": 2.955023,
    "source": "stream",
    "finality": "provisional",
}
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue", "ctr", "cpc", "cpm", "cpa", "cvr", "roas")
INSIGHTS = {
    "campaign_id": 42,
    "start_date": "2026-10-01",
    "end_date": "2026-10-11",
    "granularity": "weekly",
    "timezone": "Asia/Kolkata",
    "week_start": "monday",
    "currency": "USD",
    "source": "auto",
    "group_by": ["platform"],
    "rows": [
        ROW,
        ROW
        | {"period_start": "2026-10-05", "period_end": "2026-10-11", "partial": False, "platform": "tiktok"}
        | dict.fromkeys(("spend", "cpc", "cpm", "cpa", "roas")),
    ],
    "totals": {name: ROW[name] for name in METRICS},
    "comparison": {
        "kind": "previous_period",
        "start_date": "2026-09-20",
        "end_date": "2026-09-30",
        "totals": {name: ROW[name] for name in METRICS},
        "change": {"impressions": 0.125, "clicks": -0.5, "conversions": 0.0, "spend": None, "revenue": 12.5},
    },
    "next_cursor": None,
    "freshness": [],
    "warnings": [],
}
BODY = json.dumps(INSIGHTS).encode()
NASTY = "=1+1\x1b[31m[red]x[/red]\u202e\x9b5m\n"


class Sink(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def printed(style: Format, body: bytes, *, terminal: bool = False) -> tuple[str, str]:
    stdout, stderr = Sink(terminal), Sink()
    view = insights_view.as_report if style is Format.TABLE else insights_view.as_rows
    Output(style, stdout=stdout, stderr=stderr).answer(body, view, items="rows")
    return stdout.getvalue(), stderr.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_insights_table(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stdout, stderr = printed(Format.TABLE, BODY)
    assert max(map(len, stdout.splitlines())) <= width
    assert matches_golden(f"cli/insights-{width}.txt", stdout + "--- stderr\n" + stderr)


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    stdout, stderr = printed(Format.TABLE, BODY)
    assert "finality" in stdout
    assert "\x1b" not in stdout
    assert stderr == ""


def test_no_color_means_none_and_a_terminal_gets_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1m" in printed(Format.TABLE, BODY, terminal=True)[0]
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in printed(Format.TABLE, BODY, terminal=True)[0]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in printed(Format.TABLE, BODY, terminal=True)[0]


def test_csv_holds_every_member_exactly() -> None:
    stdout, _ = printed(Format.CSV, BODY)
    assert matches_golden("cli/insights.csv", stdout)


def test_json_is_the_body_byte_for_byte_and_ndjson_its_items() -> None:
    body = b'{"rows":[{"spend":0.10,"n":123456789012345678901},{"spend":1e2}],"totals":{}}'
    assert printed(Format.JSON, body)[0] == body.decode() + "\n"
    assert printed(Format.NDJSON, body)[0] == '{"spend":0.10,"n":123456789012345678901}\n{"spend":1e2}\n'


def test_an_empty_answer_is_an_empty_table() -> None:
    table = Table([Column("id", Kind.ID), Column("name")], [])
    assert as_table(table, 80, color=False)[0].splitlines()[0] == "id  name"
    assert as_csv(table) == "id,name\n"


@pytest.mark.parametrize("style", [style for style in Format if style is not Format.PARQUET])
def test_text_from_outside_is_spelled_out_in_every_sink(style: Format) -> None:
    body = json.dumps({"items": [{"name": NASTY}]}, ensure_ascii=False).encode()
    for terminal in (True, False):
        stdout = Sink(terminal)
        output = Output(style, stdout=stdout, stderr=Sink())
        output.answer(body, lambda answer: Table([Column("name")], [[item["name"] for item in answer["items"]]]))
        text = stdout.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")  # our own header
        assert "\x1b" not in text
        assert "[red]x[/red]" in text
        if terminal or style in (Format.TABLE, Format.CSV):
            assert "\x9b" not in text
        if style in (Format.TABLE, Format.CSV):
            assert "\u202e" not in text
        else:
            assert json.loads(text)


def test_a_spreadsheet_computes_nothing() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "plain", "a=b"]
    rows: list[list[object]] = [[name, Decimal("-1.50")] for name in names]
    lines = as_csv(Table([Column("name"), Column("spend")], rows)).splitlines()[1:]
    assert [line.split(",")[0][0] for line in lines] == ["'"] * 6 + ["p", "a"]
    assert {line.split(",")[1] for line in lines} == {"-1.50"}


def test_messages_cannot_move_the_terminal_and_quiet_drops_them() -> None:
    for quiet, said in ((False, r"warning[x]: a\x1b[2Jb\nc"), (True, "")):
        stderr = Sink()
        output = Output(Format.TABLE, quiet=quiet, stdout=Sink(), stderr=stderr)
        output.warn("x", "a\x1b[2Jb\nc")
        assert stderr.getvalue().rstrip("\n") == said


def test_wide_characters_and_long_names_keep_the_columns_in_line() -> None:
    table = Table([Column("name"), Column("n", Kind.COUNT)], [["東京キャンペーン", 1], ["x" * 300, 22]])
    lines = as_table(table, 60, color=False)[0].splitlines()
    assert lines[2].endswith("1")
    assert lines[3].endswith("22")
    assert "…" in lines[3]
    assert len(lines[3]) == 60


def test_a_number_is_never_cut() -> None:
    columns = [Column("id", Kind.ID), Column("n", Kind.COUNT), Column("text")]
    lines = as_table(Table(columns, [["a" * 20, 10**15, "t" * 50]]), 60, color=False)[0].splitlines()
    assert lines[2] == "a" * 20 + "  1,000,000,000,000,000  " + "t" * 14 + "…"


def test_bars() -> None:
    values = [Decimal("10"), None, Decimal("2.5"), Decimal("-5"), 0]
    drawn = bars(["a", "b", "c", "d", "e"], values, 30)
    assert drawn.splitlines() == [
        "a   10 ███████████████████████",
        "b    -",
        "c  2.5 █████▊",
        "d   -5 -----------",
        "e    0",
    ]
    assert bars(["a"], [1], 20, ascii_only=True) == "a  1 " + "#" * 15
    assert bars([], [], 80) == ""


def test_the_plot_of_insights() -> None:
    text = insights_view.as_bars(decode(BODY), "clicks", 60)
    assert matches_golden("cli/insights-plot.txt", text + "\n")
    with pytest.raises(Exception, match="must be one of impressions"):
        insights_view.as_bars(decode(BODY), "click", 60)
