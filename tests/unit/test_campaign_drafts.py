"""What a campaign's settings may be, and how what is wrong is told."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from campaignctl.domain.campaigns import (
    BudgetPeriod,
    Campaign,
    CampaignDraft,
    CampaignStatus,
    LinkLevel,
    campaign_draft,
    campaign_fields,
)
from campaignctl.domain.platforms import Platform
from campaignctl.domain.timezones import known_timezones, nearest_timezone
from campaignctl.errors import InvalidInput

LINK = {"platform": "meta", "account_id": "act_1", "external_id": "c1"}


def wrong(values: object) -> dict[str, str]:
    """Each wrong field with its message."""
    with pytest.raises(InvalidInput) as caught:
        campaign_draft(values)
    errors = caught.value.errors
    assert len({error.field for error in errors}) == len(errors)
    return {error.field: error.message for error in errors}


def test_only_the_name_is_needed() -> None:
    draft = campaign_draft({"name": "Summer"})
    assert draft == CampaignDraft("Summer")
    assert (draft.currency, draft.timezone, draft.status) == ("USD", "UTC", CampaignStatus.ACTIVE)
    assert (draft.budget_period, draft.platforms, draft.budget_micros) == (BudgetPeriod.TOTAL, (), None)
    assert campaign_draft({"name": "Summer"} | dict.fromkeys(("platforms", "budget", "currency", "status"))) == draft


def test_everything_given() -> None:
    values = {
        "name": "Sömmer 🌞",
        "platforms": [
            LINK | {"platform": "Meta", "valid_from": "2026-01-01", "valid_to": "2026-01-31"},
            LINK | {"valid_from": "2026-02-01"},
            {"platform": "linkedin", "account_id": "5", "external_id": "7", "level": "campaign_group"},
        ],
        "budget": Decimal("1234.500000"),
        "budget_period": "monthly",
        "currency": "inr",
        "timezone": "Asia/Kolkata",
        "start_date": "2026-01-01",
        "end_date": "2026-01-01",
        "status": "paused",
    }
    draft = campaign_draft(values)
    assert draft.budget_micros == 1_234_500_000
    assert (draft.currency, draft.start_date, draft.end_date) == ("INR", date(2026, 1, 1), date(2026, 1, 1))
    assert [link.platform for link in draft.platforms] == [Platform.META, Platform.META, Platform.LINKEDIN]
    assert draft.platforms[2].level is LinkLevel.CAMPAIGN_GROUP
    assert campaign_draft(campaign_fields(draft)) == draft
    stored = Campaign(
        id=1,
        organization_id=1,
        version=1,
        created_at=datetime.now(UTC),
        updated_at=datetime.now(UTC),
        **{name: getattr(draft, name) for name in CampaignDraft.__slots__},
    )
    assert campaign_draft(campaign_fields(stored)) == draft
    assert stored.budget == Decimal("1234.5")


def test_every_wrong_field_is_named_at_once() -> None:
    errors = wrong(
        {
            "name": " ",
            "platforms": [
                LINK,
                {"platform": "myspace", "account_id": 5, "external_id": ""},
                "c1",
                LINK | {"level": "campaign_group", "valid_from": "2026-02-01", "valid_to": "2026-01-31"},
                {"acount_id": "5"},
            ],
            "budget": "12 dollars",
            "budget_period": "dayly",
            "currency": "US dollar",
            "timezone": "Asia/Calcuta",
            "start_date": "2026-02-30",
            "end_date": 20260101,
            "status": "Active",
        }
    )
    assert set(errors) == {
        "name", "budget", "budget_period", "currency", "timezone", "start_date", "end_date", "status",
        "platforms.1.platform", "platforms.1.account_id", "platforms.1.external_id", "platforms.2",
        "platforms.3.level", "platforms.3.valid_to",
        "platforms.4.acount_id", "platforms.4.platform", "platforms.4.account_id", "platforms.4.external_id",
    }  # fmt: skip
    assert errors["budget_period"].endswith("did you mean daily?")
    assert errors["status"].endswith("did you mean active?")
    assert errors["timezone"].endswith("did you mean Asia/Calcutta?")
    assert errors["platforms.4.acount_id"].endswith("did you mean account_id?")
    assert "in quotes" in errors["platforms.1.account_id"]


@pytest.mark.parametrize("values", [None, [], "name", 1, True, [{"name": "x"}]])
def test_what_is_no_object(values: object) -> None:
    assert set(wrong(values)) == {"body"}


@pytest.mark.parametrize(
    "name",
    ["id", "organization_id", "tenant_id", "owner", "role", "created_at", "version", "spend", "__proto__", "Name", ""],
)
def test_no_other_member_is_taken(name: str) -> None:
    assert set(wrong({"name": "x", name: 1})) == {name}
    assert set(wrong({"name": "x", "platforms": [LINK | {name: 1}]})) == {f"platforms.0.{name}"}


def test_names_of_unknown_members_do_no_harm() -> None:
    errors = wrong({"name": "x", "\ud800\udfff": 1, "y" * 1_000_000: 2})
    assert all(len(field) <= 100 and field.encode() for field in errors)
    assert len(wrong({"name": "x"} | {f"a{n}": 1 for n in range(10_000)})) == 10


@pytest.mark.parametrize("name", ["x", "x" * 200, "👩‍👩‍👧", " x ", "<b>[red]=1+1", "a" * 199 + "🌞"])
def test_names(name: str) -> None:
    assert campaign_draft({"name": name}).name == name


@pytest.mark.parametrize(
    "name",
    [None, "", " ", "\u3000", "x" * 201, "a\nb", "a\x00b", "a\x1bb", "a\x7fb", "a\u2028b", "a\ud800", 5, True, ["x"]],
)
def test_what_is_no_name(name: object) -> None:
    assert set(wrong({"name": name})) == {"name"}


@pytest.mark.parametrize(
    ("budget", "micros"),
    [
        (0, 0),
        ("0.000001", 1),
        (5, 5_000_000),
        (Decimal("1e3"), 1_000_000_000),
        ("1E-6", 1),
        ("12.5000000000", 12_500_000),
        (Decimal("999999999999.999999"), 999_999_999_999_999_999),
        ("-0", 0),
    ],
)
def test_budgets(budget: object, micros: int) -> None:
    assert campaign_draft({"name": "x", "budget": budget}).budget_micros == micros


@pytest.mark.parametrize(
    "budget",
    [
        -1, "-0.000001", "0.0000001", 10**12, "1e12", "1e999999999", Decimal("1e-999999"), "+1", "01", ".5", "1.", "",
        " 1", "1\n", "1_000", "1,5", "NaN", Decimal("NaN"), Decimal("Infinity"), "١", True, [], {}, pytest.param(10**5_000, id="5,001 digits"), 1.5,
    ],
)  # fmt: skip
def test_what_is_no_budget(budget: object) -> None:
    assert set(wrong({"name": "x", "budget": budget})) == {"budget"}


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+12", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "EST5EDT"])
def test_zones(zone: str) -> None:
    assert campaign_draft({"name": "x", "timezone": zone}).timezone == zone


@pytest.mark.parametrize(
    "zone",
    ["", "localtime", "Factory", "posix/Asia/Tokyo", "right/UTC", "posixrules", "Mars/Olympus", "+05:30", "utc ", "../UTC",
     "/etc/passwd", "Asia", "Europe/paris", "\x00", "\ud800", pytest.param("x" * 100_000, id="long"), 5, [], "tzdata.zi", "zone.tab"],
)  # fmt: skip
def test_what_is_no_zone(zone: object) -> None:
    assert set(wrong({"name": "x", "timezone": zone})) == {"timezone"}


def test_the_nearest_zone_is_named() -> None:
    assert nearest_timezone("europe/PARIS") == "Europe/Paris"
    assert nearest_timezone("america/new york") == "America/New_York"
    assert nearest_timezone("xyzzy") is None
    assert len(known_timezones()) > 400


@pytest.mark.parametrize("day", ["2026-1-01", "20260101", "2026-W01-1", "2026-02-29", "0000-01-01", "2026-01-01T00:00:00Z",
                                 "2026-01-01 ", "٢٠٢٦-٠١-٠١", "", 0, date(2026, 1, 1)])  # fmt: skip
def test_what_is_no_day(day: object) -> None:
    assert set(wrong({"name": "x", "start_date": day})) == {"start_date"}


def test_an_end_before_the_start() -> None:
    assert set(wrong({"name": "x", "start_date": "2026-01-02", "end_date": "2026-01-01"})) == {"end_date"}
    assert campaign_draft({"name": "x", "end_date": "0001-01-01"}).end_date == date.min


def periods(*given: tuple[str | None, str | None]) -> dict[str, Any]:
    return {"name": "x", "platforms": [LINK | {"valid_from": first, "valid_to": last} for first, last in given]}


@pytest.mark.parametrize(
    ("links", "fields"),
    [
        ([(None, None), (None, None)], {"platforms.1"}),
        ([("2026-02-01", None), (None, "2026-01-31")], set()),
        ([("2026-02-01", None), (None, "2026-02-01")], {"platforms.1"}),
        ([("2026-01-01", "2026-12-31"), ("2026-02-01", "2026-02-28"), ("2026-06-01", "2026-06-30")],
         {"platforms.1", "platforms.2"}),
        ([("2026-03-01", "2026-03-31"), ("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28")], set()),
        ([("9999-12-31", "9999-12-31"), (None, "9999-12-30")], set()),
    ],
)  # fmt: skip
def test_a_native_campaign_counts_once_a_day(links: list[tuple[str | None, str | None]], fields: set[str]) -> None:
    if fields:
        assert set(wrong(periods(*links))) == fields
    else:
        assert len(campaign_draft(periods(*links)).platforms) == len(links)


@pytest.mark.parametrize("platforms", ["meta", {"platform": "meta"}, 5, True, [LINK] * 1_001])
def test_what_is_no_list_of_links(platforms: object) -> None:
    assert set(wrong({"name": "x", "platforms": platforms})) == {"platforms"}


def test_a_thousand_links() -> None:
    links = [LINK | {"external_id": str(n)} for n in range(1_000)]
    assert len(campaign_draft({"name": "x", "platforms": links}).platforms) == 1_000


@pytest.mark.parametrize("change", [lambda link: link.pop("platform"), lambda link: link.update(account_id="x" * 129),
                                    lambda link: link.update(external_id="a\nb"), lambda link: link.update(level="ad")])  # fmt: skip
def test_what_is_no_link(change: Callable[[dict[str, Any]], object]) -> None:
    given = dict(LINK)
    change(given)
    assert len(wrong({"name": "x", "platforms": [given]})) == 1
