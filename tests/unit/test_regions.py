import pytest

from campaignctl.domain.currencies import CURRENCIES, LIST_ONE_PUBLISHED, normalize_currency
from campaignctl.domain.regions import country_of, is_subdivision, normalize_region, region_matches


@pytest.mark.parametrize(
    ("text", "region"),
    [("IN", "IN"), ("us-ca", "US-CA"), ("fr-75c", "FR-75C"), ("Zz", "ZZ"), ("GB-ENG", "GB-ENG"), ("at-9", "AT-9")],
)
def test_a_region_is_stored_upper_case(text: str, region: str) -> None:
    assert normalize_region(text) == region


@pytest.mark.parametrize(
    "text",
    [
        "",
        "U",
        "USA",
        "US-",
        "US-ABCD",
        "US_CA",
        "1A",
        "--",
        "US CA",
        " US",
        "US ",
        "US\n",
        "US-C A",
        "US-CÄ",
        "U\u212a",
        "\u212aR",
        "u\u017f",
        "İN",
        "us-\u017fa",
        "US-CA-1",
    ],
)
def test_another_form_is_no_region(text: str) -> None:
    assert normalize_region(text) is None


@pytest.mark.parametrize(
    ("asked", "region", "matches"),
    [
        ("US", "US", True),
        ("US", "US-CA", True),
        ("US-CA", "US-CA", True),
        ("US-CA", "US", False),
        ("US-CA", "US-NY", False),
        ("US-C", "US-CA", False),
        ("US", "UA", False),
        ("ZZ", "ZZ", True),
        ("ZZ", "US", False),
    ],
)
def test_a_country_matches_its_subdivisions(asked: str, region: str, *, matches: bool) -> None:
    assert region_matches(asked, region) is matches


def test_parts_of_a_region() -> None:
    assert (country_of("US-CA"), country_of("US")) == ("US", "US")
    assert is_subdivision("US-CA")
    assert not is_subdivision("US")


def test_the_list_of_currencies_is_the_official_one_of_its_date() -> None:
    assert LIST_ONE_PUBLISHED == "2026-09-17"
    assert len(CURRENCIES) == 178
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert {"USD", "EUR", "INR", "XAU", "XDR", "XXX", "XTS", "XAD", "XCG", "ZWG", "SLE", "VED", "CLF"} <= CURRENCIES
    assert not {"BGN", "HRK", "ANG", "CUC", "ZWL", "SLL", "XYZ", "BTC"} & CURRENCIES


@pytest.mark.parametrize(("text", "code"), [("usd", "USD"), ("Eur", "EUR"), ("xau", "XAU")])
def test_a_currency_is_stored_upper_case(text: str, code: str) -> None:
    assert normalize_currency(text) == code


@pytest.mark.parametrize("text", ["", "XYZ", "DOLLARS", "US", " USD", "u\u017fd", "\u212arw", "USD\n"])
def test_what_is_not_in_the_list_is_no_currency(text: str) -> None:
    assert normalize_currency(text) is None
