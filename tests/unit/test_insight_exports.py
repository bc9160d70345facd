"""Files of insights hold the numbers of the JSON answer, to the last digit."""

import csv
import io
import json
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaignctl.domain.insight_members import row_members
from campaignctl.domain.money import micros_to_decimal_text
from campaignctl.errors import ConfigurationError
from campaignctl.services.insight_exports import ExportForm, exported, file_name
from campaignctl.tabular import decode
from campaignctl.telemetry import one_line

_micros = st.none() | st.integers(-(10**24), 10**24)
_counts = st.none() | st.integers(-(10**17), 10**17) | st.integers(2**63, 10**30)
_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["=1+1", "-2", "@x", 'a,"b'])
_zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"])


def _exact(micros: int | None) -> str:
    return "null" if micros is None else micros_to_decimal_text(micros)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A JSON answer as the API writes it: numbers of any size as text, never as binary fractions."""
    hourly = draw(st.booleans())
    group_by = draw(st.lists(st.sampled_from(["platform", "ad", "campaign"]), unique=True))
    zone = draw(_zones)
    rows = []
    for number in range(draw(st.integers(0, 5))):
        start = datetime(2026, 3, 8) + timedelta(hours=number)
        period = [f"{start.isoformat()}+00:00", f"{(start + timedelta(hours=1)).isoformat()}+00:00"]
        texts = period if hourly else [(date(2026, 3, 1) + timedelta(number)).isoformat()] * 2
        members = {"period_start": json.dumps(texts[0]), "period_end": json.dumps(texts[1]), "partial": "false"}
        if "platform" in group_by:
            members["platform"] = json.dumps(draw(_names))
        if "ad" in group_by:
            members["ad_id"] = json.dumps(draw(_names))
        if "campaign" in group_by:
            members["campaign_id"] = str(draw(st.integers(1, 2**63 - 1)))
        for name in ("impressions", "clicks"):
            members[name] = json.dumps(draw(_counts))
        for name in ("conversions", "spend", "revenue", "ctr", "cpc", "cpm", "cpa", "cvr", "roas"):
            members[name] = _exact(draw(_micros))
        members |= {"source": '"mixed"', "finality": '"live"'}
        rows.append("{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}")
    head = {
        "campaign_id": 7, "start_date": "2026-03-01", "end_date": "2026-03-09", "timezone": zone, "week_start": "monday",
        "granularity": "hourly" if hourly else "daily", "currency": "EUR", "source": "auto", "group_by": group_by,
        "totals": {"clicks": 1}, "freshness": [], "warnings": [{"code": "stale", "message": "€"}], "next_cursor": None,
    }  # fmt: skip
    return (json.dumps(head)[:-1] + ', "rows": [' + ", ".join(rows) + "]}").encode()


@settings(max_examples=150)
@given(bodies())
def test_every_form_has_the_rows_of_the_json(body: bytes) -> None:
    answer = decode(body)
    lines = exported(body, ExportForm.NDJSON).splitlines()
    assert [decode(line) for line in lines] == answer["rows"]
    header, *cells = csv.reader(io.StringIO(exported(body, ExportForm.CSV).decode(), newline=""))
    assert header == [*row_members(answer), "currency", "timezone"]
    assert cells == [_as_csv(row, answer) for row in answer["rows"]]
    for form in (ExportForm.PARQUET, ExportForm.ARROW):
        table = _read(exported(body, form), form)
        assert [_as_json(row) for row in table.to_pylist()] == [_with_instants(row, answer) for row in answer["rows"]]
        for name in ("impressions", "clicks"):
            wide = any(row[name] is not None and abs(row[name]) >= 2**63 for row in answer["rows"])
            assert table.schema.field(name).type == (pa.decimal128(38, 0) if wide else pa.int64())


def _as_csv(row: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    return [_cell(row[name]) for name in row_members(answer)] + [answer["currency"], answer["timezone"]]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return one_line("'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value)
    return str(value)


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if type(value) is date else value for name, value in row.items()}


def _with_instants(row: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    if answer["granularity"] != "hourly":
        return row
    return row | {name: datetime.fromisoformat(row[name]) for name in ("period_start", "period_end")}


def _read(content: bytes, form: ExportForm) -> pa.Table:
    if form is ExportForm.PARQUET:
        return parquet.read_table(io.BytesIO(content))
    return pa.ipc.open_stream(content).read_all()


BODY = (
    b'{"campaign_id": 7, "start_date": "2026-03-01", "end_date": "2026-03-09", "granularity": "daily", '
    b'"timezone": "Asia/Kolkata", "week_start": "sunday", "currency": "EUR", "source": "auto", "group_by": [], '
    b'"rows": [], "totals": {"spend": 0.100000000000000005}, "comparison": null, "next_cursor": null, "freshness": [], '
    b'"warnings": [{"code": "stale", "message": "x"}]}'
)


@pytest.mark.parametrize("form", [ExportForm.PARQUET, ExportForm.ARROW])
def test_the_schema_says_what_the_numbers_are_in(form: ExportForm) -> None:
    schema = _read(exported(BODY, form), form).schema
    told = {name.decode(): text.decode() for name, text in schema.metadata.items()}
    assert told["timezone"] == "Asia/Kolkata" and told["currency"] == "EUR" and told["week_start"] == "sunday"
    assert told["source"] == "auto" and told["campaign_id"] == "7" and told["generator"].startswith("campaignctl ")
    assert json.loads(told["warnings"])[0]["code"] == "stale"
    assert json.loads(told["totals"], parse_float=Decimal) == {"spend": Decimal("0.100000000000000005")}
    units = {name: (schema.field(name).metadata or {}).get(b"unit") for name in schema.names}
    assert units["spend"] == units["cpm"] == b"EUR" and units["ctr"] == b"fraction"
    assert units["period_start"] == b"Asia/Kolkata" and units["clicks"] is units["roas"] is None


def test_names_of_files_are_plain() -> None:
    answer = decode(BODY)
    assert file_name(answer, ExportForm.CSV) == "campaign-7-insights-2026-03-01-to-2026-03-09.csv"
    several = {name: value for name, value in answer.items() if name != "campaign_id"} | {"campaign_ids": [1, 2]}
    assert file_name(several, ExportForm.PARQUET) == "campaigns-insights-2026-03-01-to-2026-03-09.parquet"


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert exported(BODY, ExportForm.CSV).startswith(b"period_start,")
    with pytest.raises(ConfigurationError) as caught:
        exported(BODY, ExportForm.PARQUET)
    assert "campaignctl[export]" in caught.value.hint
